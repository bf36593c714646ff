package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
)

// nginxConf is nginx in front of one server for each site, or alone. It is the configuration
// of the package, except that the log is buffered, connections are not closed after 1,000
// requests, files stay open until they are looked at again a second later, and servers that
// speak HTTP keep their connections.
var nginxConf = template.Must(template.New("nginx.conf").Parse(`
daemon off;
user {{.User}};
worker_processes auto;
pid {{.Dir}}/nginx.pid;
error_log {{.Dir}}/error.log;
events { worker_connections 4096; }
http {
  access_log {{.Dir}}/access.log combined buffer=32k flush=1s;
  client_body_temp_path {{.Dir}}/body;
  proxy_temp_path {{.Dir}}/proxy;
  fastcgi_temp_path {{.Dir}}/fastcgi;
  uwsgi_temp_path {{.Dir}}/uwsgi;
  scgi_temp_path {{.Dir}}/scgi;
  client_max_body_size 200m;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  http2_max_requests 100000000;
  open_file_cache max=1000;
  open_file_cache_valid 1s;
  limit_conn_zone $binary_remote_addr zone=addresses:1m;
{{range .Sites}}{{if .Socket}}  upstream {{.Name}} {
    server unix:{{.Socket}};
    keepalive 32;
    keepalive_requests 100000000;
  }
{{end}}  server {
    listen {{$.Addr}};
    server_name {{.Host}};
{{if .Cert}}    listen {{$.TLSAddr}} ssl http2;
    ssl_certificate {{.Cert}};
    ssl_certificate_key {{.Key}};
    ssl_protocols TLSv1.2 TLSv1.3;
{{end}}{{if .Trusted}}    set_real_ip_from 127.0.0.1;
    real_ip_header X-Forwarded-For;
{{end}}{{with .PerAddress}}    limit_conn addresses {{.}};
{{end}}{{with .Static}}    location /static/ { alias {{.}}/; }
{{end}}{{with .Pass}}    location / { {{.}} }
{{end}}  }
{{end}}}
`))

// nginxSite is a site as nginx has it.
type nginxSite struct {
	Name, Host, Static string
	Cert, Key          string // of a site that is served with TLS, too
	Trusted            bool
	PerAddress         int
	Pass               string // how requests get to the server behind
	Socket             string // of a server that speaks HTTP
}

// Two ways to a server on a unix socket.
const (
	passUWSGI = "include /etc/nginx/uwsgi_params; uwsgi_pass unix:SOCKET;"
	passHTTP  = "proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; " +
		"proxy_set_header X-Forwarded-Proto $scheme; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_pass http://NAME;"
)

// behindNginx starts a server for each site, on a socket of its own, and nginx in front of
// them. Without start, nginx is alone.
func (b *bench) behindNginx(ctx context.Context, name, pass string, sites []site, start func(c *children, dir, socket string, s site) error) (*server, error) {
	dir, err := b.newDir()
	if err != nil {
		return nil, err
	}
	s := &server{name: name}
	var served []nginxSite
	for _, site := range sites {
		socket := filepath.Join(dir, site.name+".sock")
		n := nginxSite{
			Name: site.name, Host: site.host, Static: site.static, Trusted: site.trusted, PerAddress: site.perAddress,
			Pass: strings.NewReplacer("SOCKET", socket, "NAME", site.name).Replace(pass),
		}
		if site.tls != "" {
			n.Cert, n.Key = certFile(site.tls), keyFile(site.tls)
		}
		if pass == passHTTP {
			n.Socket = socket
		}
		served = append(served, n)
		if start == nil {
			continue
		}
		if err := start(&s.children, dir, socket, site); err != nil {
			s.end()
			return nil, err
		}
	}
	if s.addr, err = freePort(); err == nil {
		s.tlsAddr, err = freePort()
	}
	if err == nil {
		err = startNginx(&s.children, dir, s.addr, s.tlsAddr, served)
	}
	if err != nil {
		s.end()
		return nil, err
	}
	return b.serving(ctx, s, sites, func(p proc) bool { return strings.HasPrefix(p.command, "nginx:") })
}

func startNginx(c *children, dir, addr, tlsAddr string, sites []nginxSite) error {
	user, err := me()
	if err != nil {
		return err
	}
	var conf bytes.Buffer
	if err := nginxConf.Execute(&conf, map[string]any{"Dir": dir, "User": user, "Addr": addr, "TLSAddr": tlsAddr, "Sites": sites}); err != nil {
		return err
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, conf.Bytes(), 0o644); err != nil {
		return err
	}
	return c.start(dir, nil, "nginx", "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", file)
}

func findNginx(ctx context.Context, _ *project) (string, error) {
	version, err := versionOf(ctx, "nginx", "-v")
	return "nginx " + version, err
}

// startNginxAlone starts nginx for files.
func startNginxAlone(ctx context.Context, b *bench, _ *project, sites []site) (*server, error) {
	return b.behindNginx(ctx, "nginx", "", sites, nil)
}

// startNginxGo starts nginx in front of the program of a site, which is a server of its own
// there.
func startNginxGo(ctx context.Context, b *bench, _ *project, sites []site) (*server, error) {
	return b.behindNginx(ctx, "nginx + Go server", passHTTP, sites, func(c *children, dir, socket string, s site) error {
		return c.start(dir, nil, s.program, socket)
	})
}

// findBehindNginx returns the versions of nginx and of the server behind it.
func findBehindNginx(ctx context.Context, name string, find func() (string, error)) (string, error) {
	nginx, err := versionOf(ctx, "nginx", "-v")
	if err != nil {
		return "", err
	}
	version, err := find()
	if err != nil {
		return "", err
	}
	return "nginx " + nginx + ", " + name + " " + version, nil
}

func findUWSGI(ctx context.Context, p *project) (string, error) {
	return findBehindNginx(ctx, "uWSGI", func() (string, error) {
		uwsgi := uwsgiOf(p)
		return versionOf(ctx, uwsgi[0], append(uwsgi[1:], "--version")...)
	})
}

// uwsgiOf returns the uWSGI of the project's own Python (pip install uwsgi), which needs no
// plugin, or that of Debian.
func uwsgiOf(p *project) []string {
	own := filepath.Join(filepath.Dir(p.python), "uwsgi")
	if _, err := os.Stat(own); err == nil {
		return []string{own}
	}
	return []string{"uwsgi", "--plugin", "python3"}
}

func startUWSGI(ctx context.Context, b *bench, p *project, sites []site) (*server, error) {
	return b.behindNginx(ctx, "nginx + uWSGI", passUWSGI, sites, func(c *children, dir, socket string, s site) error {
		uwsgi := append(uwsgiOf(p), "--master", "--need-app", "--die-on-term",
			"--single-interpreter", "--disable-logging", "--listen", "1000", "--socket", socket, "--chmod-socket=600",
			"--processes", strconv.Itoa(s.processes), "--module", s.entry)
		if s.threads > 1 {
			uwsgi = append(uwsgi, "--threads", strconv.Itoa(s.threads))
		}
		return c.start(p.dir, p.environment(s), uwsgi[0], uwsgi[1:]...)
	})
}

func findGunicorn(ctx context.Context, p *project) (string, error) {
	return findBehindNginx(ctx, "gunicorn", func() (string, error) { return versionOf(ctx, p.python, "-m", "gunicorn", "--version") })
}

func startGunicorn(ctx context.Context, b *bench, p *project, sites []site) (*server, error) {
	return b.behindNginx(ctx, "nginx + gunicorn --preload", passHTTP, sites, func(c *children, dir, socket string, s site) error {
		return c.start(p.dir, p.environment(s), p.python, "-m", "gunicorn", "--preload", "--workers", strconv.Itoa(s.processes),
			"--threads", strconv.Itoa(s.threaded()), "--bind", "unix:"+socket, s.entry)
	})
}

func findGranian(ctx context.Context, p *project) (string, error) {
	return findBehindNginx(ctx, "granian", func() (string, error) { return versionOf(ctx, p.python, "-m", "granian", "--version") })
}

func startGranian(ctx context.Context, b *bench, p *project, sites []site) (*server, error) {
	return b.behindNginx(ctx, "nginx + granian", passHTTP, sites, func(c *children, dir, socket string, s site) error {
		return c.start(p.dir, p.environment(s), p.python, "-m", "granian", "--interface", "wsgi", "--blocking-threads", strconv.Itoa(s.threaded()),
			"--workers", strconv.Itoa(s.processes), "--uds", socket, s.entry)
	})
}
