package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
)

// apacheModules is the directory in which Debian installs them.
const apacheModules = "/usr/lib/apache2/modules"

func findApache(ctx context.Context, p *project) (string, error) {
	version, err := versionOf(ctx, "apache2", "-v")
	if err != nil {
		return "", err
	}
	module, err := modWSGI(ctx, p)
	if err != nil {
		return "", err
	}
	return "Apache " + version + ", event MPM, " + module, nil
}

func findApacheAlone(ctx context.Context, _ *project) (string, error) {
	version, err := versionOf(ctx, "apache2", "-v")
	return "Apache " + version + ", event MPM", err
}

// modWSGI returns the module of the project's own Python (pip install mod_wsgi), or
// Debian's.
func modWSGI(ctx context.Context, p *project) (string, error) {
	express := filepath.Join(filepath.Dir(p.python), "mod_wsgi-express")
	if out, err := exec.CommandContext(ctx, express, "module-location").Output(); err == nil {
		return strings.TrimSpace(string(out)), nil
	}
	debians := apacheModules + "/mod_wsgi.so"
	if _, err := os.Stat(debians); err != nil {
		return "", errors.New("neither mod_wsgi nor libapache2-mod-wsgi-py3 is installed")
	}
	return debians, nil
}

// apacheConf is that of the article: a virtual host and a daemon group for each site.
var apacheConf = template.Must(template.New("apache.conf").Parse(`
ServerRoot {{.Dir}}
DefaultRuntimeDir {{.Dir}}
PidFile {{.Dir}}/apache.pid
ErrorLog {{.Dir}}/error.log
ServerName localhost
LoadModule mpm_event_module {{.Modules}}/mod_mpm_event.so
LoadModule authz_core_module {{.Modules}}/mod_authz_core.so
LoadModule alias_module {{.Modules}}/mod_alias.so
LoadModule remoteip_module {{.Modules}}/mod_remoteip.so
{{with .ModWSGI}}LoadModule wsgi_module {{.}}
WSGISocketPrefix {{$.Dir}}/wsgi
WSGIRestrictEmbedded On
{{end}}EnableSendfile On
{{if .Root}}User www-data
Group www-data
{{end}}Listen {{.Addr}}
KeepAlive On
MaxKeepAliveRequests 0
BufferedLogs On
CustomLog {{.Dir}}/access.log "%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\""
<Directory {{.Dir}}>
Require all granted
</Directory>
{{range .Sites}}<VirtualHost {{$.Addr}}>
ServerName {{.Host}}
{{if .Trusted}}RemoteIPHeader X-Forwarded-For
RemoteIPInternalProxy 127.0.0.1
{{end}}{{with .Static}}Alias /static/ {{.}}/
<Directory {{.}}>
Require all granted
</Directory>
{{end}}{{if $.ModWSGI}}WSGIDaemonProcess {{.Name}} processes={{.Processes}} threads={{.Threads}} python-path={{$.Path}} display-name=(wsgi:{{.Name}})
WSGIProcessGroup {{.Name}}
WSGIApplicationGroup %{GLOBAL}
WSGIScriptAlias / {{$.Dir}}/{{.Name}}.wsgi
{{end}}</VirtualHost>
{{end}}`))

type apacheSite struct {
	Name, Host, Static string
	Processes, Threads int
	Trusted            bool
}

func startApache(ctx context.Context, b *bench, p *project, sites []site) (*server, error) {
	module, err := modWSGI(ctx, p)
	if err != nil {
		return nil, err
	}
	return b.startApache(ctx, p, sites, module)
}

// startApacheAlone starts Apache for files, without Python.
func startApacheAlone(ctx context.Context, b *bench, p *project, sites []site) (*server, error) {
	return b.startApache(ctx, p, sites, "")
}

func (b *bench) startApache(ctx context.Context, p *project, sites []site, module string) (*server, error) {
	dir, err := b.newDir()
	if err != nil {
		return nil, err
	}
	addr, err := freePort()
	if err != nil {
		return nil, err
	}
	var served []apacheSite
	for _, s := range sites {
		served = append(served, apacheSite{s.name, s.host, s.static, s.processes, s.threaded(), s.trusted})
		if err := os.WriteFile(filepath.Join(dir, s.name+".wsgi"), []byte(script(s)), 0o644); err != nil {
			return nil, err
		}
	}
	var conf bytes.Buffer
	err = apacheConf.Execute(&conf, map[string]any{
		"Dir": dir, "Modules": apacheModules, "ModWSGI": module, "Root": os.Geteuid() == 0, "Addr": addr,
		"Path": p.dir + ":" + p.packages, "Sites": served,
	})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "apache.conf")
	if err := os.WriteFile(file, conf.Bytes(), 0o644); err != nil {
		return nil, err
	}
	s := &server{name: "Apache + mod_wsgi", addr: addr, reload: touchReload(dir, sites)}
	if err := s.start(dir, nil, "apache2", "-f", file, "-DFOREGROUND"); err != nil {
		return nil, err
	}
	s, err = b.serving(ctx, s, sites, func(p proc) bool { return !strings.HasPrefix(p.command, "(wsgi:") })
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "error.log")) // there may be no log
		return nil, fmt.Errorf("%w\n%s", err, log[max(0, len(log)-1000):])
	}
	return s, nil
}

// script is what WSGIScriptAlias names.
func script(s site) string {
	module, callable, _ := strings.Cut(s.entry, ":")
	text := fmt.Sprintf("from %s import %s as application\n", module, callable)
	if s.settings != "" {
		text = fmt.Sprintf("import os\nos.environ[\"DJANGO_SETTINGS_MODULE\"] = %q\n", s.settings) + text
	}
	return text
}
