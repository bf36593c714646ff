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

// nginxConf is nginx in front of one Python server for each site. It is the configuration of
// the package, except that the log is buffered and connections are not closed after 1,000
// requests.
var nginxConf = template.Must(template.New("nginx.conf").Parse(`
daemon off;
user {{.User}};
worker_processes auto;
pid {{.Dir}}/nginx.pid;
error_log {{.Dir}}/error.log;
events { worker_connections 1024; }
http {
  access_log {{.Dir}}/access.log combined buffer=32k flush=1s;
  client_body_temp_path {{.Dir}}/body;
  proxy_temp_path {{.Dir}}/proxy;
  fastcgi_temp_path {{.Dir}}/fastcgi;
  uwsgi_temp_path {{.Dir}}/uwsgi;
  scgi_temp_path {{.Dir}}/scgi;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
{{range .Sites}}  server {
    listen {{$.Addr}};
    server_name {{.}};
    location / { {{index $.Pass .}} }
  }
{{end}}}
`))

// The two protocols that nginx speaks to a Python server on a unix socket.
const (
	passUWSGI = "include /etc/nginx/uwsgi_params; uwsgi_pass unix:SOCKET;"
	passHTTP  = "proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; " +
		"proxy_set_header X-Forwarded-Proto $scheme; proxy_pass http://unix:SOCKET;"
)

// behindNginx starts a Python server for each site, on a socket of its own, and nginx in
// front of them.
func (b *bench) behindNginx(ctx context.Context, name, pass string, sites []site, start func(c *children, dir, socket string, s site) error) (*server, error) {
	dir, err := b.newDir()
	if err != nil {
		return nil, err
	}
	s := &server{name: name}
	passes := map[string]string{}
	for _, site := range sites {
		socket := filepath.Join(dir, site.name+".sock")
		passes[site.host] = strings.ReplaceAll(pass, "SOCKET", socket)
		if err := start(&s.children, dir, socket, site); err != nil {
			s.end()
			return nil, err
		}
	}
	if s.addr, err = freePort(); err == nil {
		err = startNginx(&s.children, dir, s.addr, sites, passes)
	}
	if err != nil {
		s.end()
		return nil, err
	}
	return b.serving(ctx, s, sites, func(p proc) bool { return strings.HasPrefix(p.command, "nginx:") })
}

func startNginx(c *children, dir, addr string, sites []site, passes map[string]string) error {
	user, err := me()
	if err != nil {
		return err
	}
	var hosts []string
	for _, s := range sites {
		hosts = append(hosts, s.host)
	}
	var conf bytes.Buffer
	err = nginxConf.Execute(&conf, map[string]any{"Dir": dir, "User": user, "Addr": addr, "Sites": hosts, "Pass": passes})
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, conf.Bytes(), 0o644); err != nil {
		return err
	}
	return c.start(dir, nil, "nginx", "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", file)
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
			"--single-interpreter", "--disable-logging", "--listen", "100", "--socket", socket, "--chmod-socket=600",
			"--processes", strconv.Itoa(s.processes), "--module", s.entry)
		return c.start(p.dir, p.environment(s), uwsgi[0], uwsgi[1:]...)
	})
}

func findGunicorn(ctx context.Context, p *project) (string, error) {
	return findBehindNginx(ctx, "gunicorn", func() (string, error) { return versionOf(ctx, p.python, "-m", "gunicorn", "--version") })
}

func startGunicorn(ctx context.Context, b *bench, p *project, sites []site) (*server, error) {
	return b.behindNginx(ctx, "nginx + gunicorn --preload", passHTTP, sites, func(c *children, dir, socket string, s site) error {
		return c.start(p.dir, p.environment(s), p.python, "-m", "gunicorn", "--preload", "--workers", strconv.Itoa(s.processes),
			"--bind", "unix:"+socket, s.entry)
	})
}

func findGranian(ctx context.Context, p *project) (string, error) {
	return findBehindNginx(ctx, "granian", func() (string, error) { return versionOf(ctx, p.python, "-m", "granian", "--version") })
}

func startGranian(ctx context.Context, b *bench, p *project, sites []site) (*server, error) {
	return b.behindNginx(ctx, "nginx + granian", passHTTP, sites, func(c *children, dir, socket string, s site) error {
		return c.start(p.dir, p.environment(s), p.python, "-m", "granian", "--interface", "wsgi", "--blocking-threads", "1",
			"--workers", strconv.Itoa(s.processes), "--uds", socket, s.entry)
	})
}
