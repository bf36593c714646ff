package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

func findUnit(ctx context.Context, _ *project) (string, error) {
	version, err := versionOf(ctx, "unitd", "--version")
	return "NGINX Unit " + version, err
}

// unitConf returns the configuration of NGINX Unit with the sites.
func unitConf(dir, addr string, p *project, sites []site) ([]byte, error) {
	type object = map[string]any
	apps, routes := object{}, []object{}
	for _, s := range sites {
		module, callable, _ := strings.Cut(s.entry, ":")
		env := object{}
		for _, e := range p.environment(s) {
			name, value, _ := strings.Cut(e, "=")
			env[name] = value
		}
		apps[s.name] = object{
			"type": "python", "module": module, "callable": callable, "path": []string{p.dir, p.packages},
			"working_directory": p.dir, "processes": s.processes, "threads": s.threaded(), "environment": env,
		}
		routes = append(routes, object{"match": object{"host": s.host}, "action": object{"pass": "applications/" + s.name}})
	}
	listener := object{"pass": "routes"}
	if sites[0].trusted {
		listener["forwarded"] = object{"client_ip": "X-Forwarded-For", "source": []string{"127.0.0.1"}}
	}
	return json.Marshal(object{
		"listeners": object{addr: listener}, "routes": routes, "applications": apps,
		"access_log": filepath.Join(dir, "access.log"), "settings": object{"http": object{"max_body_size": 200_000_000}},
	})
}

// startUnit gives NGINX Unit its configuration as the state of an earlier run.
func startUnit(ctx context.Context, b *bench, p *project, sites []site) (*server, error) {
	dir, err := b.newDir()
	if err != nil {
		return nil, err
	}
	addr, err := freePort()
	if err != nil {
		return nil, err
	}
	conf, err := unitConf(dir, addr, p, sites)
	if err != nil {
		return nil, err
	}
	state := filepath.Join(dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(state, "conf.json"), conf, 0o600); err != nil {
		return nil, err
	}
	user, err := me()
	if err != nil {
		return nil, err
	}
	s := &server{name: "NGINX Unit", addr: addr}
	err = s.start(dir, nil, "unitd", "--no-daemon", "--user", user, "--state", state, "--tmp", dir, "--log", filepath.Join(dir, "unit.log"),
		"--pid", filepath.Join(dir, "unit.pid"), "--control", "unix:"+filepath.Join(dir, "control.sock"))
	if err != nil {
		return nil, err
	}
	return b.serving(ctx, s, sites, func(p proc) bool { return strings.HasPrefix(p.command, "unit: router") })
}
