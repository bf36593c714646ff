package config

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/worker/account"
)

// topReaders read those keys above the first table that a tag cannot describe.
var topReaders = map[string]func(*loader, *tomlfile.Table){
	"listen":          (*loader).readListen,
	"listen_tls":      (*loader).readListenTLS, // after listen
	"acme":            (*loader).readACME,
	"dashboard":       (*loader).readDashboard,
	"metrics":         (*loader).readMetrics,
	"state_dir":       (*loader).readStateDir,
	"log_dir":         func(l *loader, top *tomlfile.Table) { top.Path("log_dir", &l.config.LogDir) },
	"control_group":   (*loader).readControlGroup,
	"trusted_proxies": (*loader).readTrustedProxies,
}

// readTopKeys reads the keys above the first table.
func (l *loader) readTopKeys(top *tomlfile.Table) {
	for _, k := range topKeys {
		if read, special := topReaders[k.name]; special {
			read(l, top)
		} else {
			k.read(top, reflect.ValueOf(l.config).Elem())
		}
	}
}

// readStateDir sets StateDir, and LogDir for a file without log_dir.
func (l *loader) readStateDir(top *tomlfile.Table) {
	l.config.StateDir = stateDir(l.files[0])
	if info, err := os.Stat(l.config.StateDir); err == nil && !info.IsDir() {
		top.Problem("state_dir", "not a directory: "+l.config.StateDir, "")
	}
	l.config.LogDir = filepath.Join(l.config.StateDir, "logs")
}

func (l *loader) readTrustedProxies(top *tomlfile.Table) {
	items, _ := top.Items("trusted_proxies")
	for _, item := range items {
		prefix, err := parsePrefix(item.Value)
		if err != nil {
			top.ProblemAt(item.Position, "trusted_proxies", fmt.Sprintf("%q is not an IP address or network", item.Value),
				`write one such as "10.0.0.1" or "10.0.0.0/8"`)
		}
		l.config.TrustedProxies = append(l.config.TrustedProxies, prefix)
	}
}

// readDashboard reads the address of the dashboard. It must be a loopback address:
// the page shows what a stranger must not see.
func (l *loader) readDashboard(top *tomlfile.Table) {
	var value string
	if !top.String("dashboard", &value) {
		return
	}
	address, ok := parseAddress(value)
	host, _, _ := net.SplitHostPort(address) // parseAddress has joined it
	if ip, err := netip.ParseAddr(host); !ok || host != "localhost" && (err != nil || !ip.IsLoopback()) {
		top.Problem("dashboard", fmt.Sprintf("%q is not a loopback address", value), `write one such as "127.0.0.1:8081"`)
	}
	l.config.Dashboard = address
}

// readMetrics reads where Prometheus gets the metrics. The front door does not listen there.
func (l *loader) readMetrics(top *tomlfile.Table) {
	var value string
	if !top.String("metrics", &value) {
		return
	}
	address, ok := parseAddress(value)
	if !ok {
		top.Problem("metrics", fmt.Sprintf("%q is not host:port", value), `write one such as "127.0.0.1:9115"`)
		return
	}
	if slices.Contains(slices.Concat(l.config.Listen, l.config.ListenTLS, []string{l.config.Dashboard}), address) && !strings.HasSuffix(address, ":0") { // 0 is any free port
		top.Problem("metrics", fmt.Sprintf("%q is an address of the front door or the dashboard", value), `write another one, such as "127.0.0.1:9115"`)
	}
	l.config.Metrics = address
}

// readControlGroup reads which group may use the control socket. Only root can give a
// file to a group that it is not a member of.
func (l *loader) readControlGroup(top *tomlfile.Table) {
	var group string
	if !top.String("control_group", &group) {
		return
	}
	gid, err := account.FindGroup(group)
	if err != nil {
		top.Problem("control_group", err.Error(), "")
		return
	}
	groups, _ := os.Getgroups() // without them, the effective group still counts
	if os.Geteuid() != 0 && gid != os.Getegid() && !slices.Contains(groups, gid) {
		top.Problem("control_group", fmt.Sprintf("the user that runs multisite is not in group %q", group), "name one that is shown by the command id")
	}
	l.config.ControlGroup = &gid
}

func (l *loader) readListen(top *tomlfile.Table) {
	if readAddresses(top, "listen", &l.config.Listen) && len(l.config.Listen) == 0 {
		top.Problem("listen", "must name at least one address", "")
	}
}

func (l *loader) readListenTLS(top *tomlfile.Table) {
	readAddresses(top, "listen_tls", &l.config.ListenTLS)
	for _, address := range l.config.ListenTLS {
		if slices.Contains(l.config.Listen, address) && !strings.HasSuffix(address, ":0") { // 0 is any free port
			top.Problem("listen_tls", fmt.Sprintf("%q is in listen, too", address), "an address speaks TLS or it does not: remove it from one of both")
		}
	}
}

// readAddresses reads a list of host:port, and reports whether all of it could be read.
func readAddresses(top *tomlfile.Table, key string, to *[]string) bool {
	items, ok := top.Items(key)
	if !ok {
		return false
	}
	var addresses []string
	for _, item := range items {
		address, valid := parseAddress(item.Value)
		if !valid {
			ok = false
			top.ProblemAt(item.Position, key, fmt.Sprintf("%q is not host:port", item.Value),
				`write one such as "127.0.0.1:8080" or ":8080"`)
			continue
		}
		if slices.Contains(addresses, address) {
			top.ProblemAt(item.Position, key, fmt.Sprintf("%q is listed twice", item.Value), "")
		}
		addresses = append(addresses, address)
	}
	*to = addresses
	return ok
}

// parseAddress normalizes host:port and reports whether s is that.
func parseAddress(s string) (string, bool) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", false
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", false
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !isHostName(host) {
		return "", false
	}
	return net.JoinHostPort(host, port), true
}

// parsePrefix parses a network, or an address as a network of one. An IPv4 network may
// be written in IPv6: "::ffff:10.0.0.0/104" is 10.0.0.0/8.
func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Unmap().Prefix(addr.Unmap().BitLen())
	}
	prefix, err := netip.ParsePrefix(s)
	if addr, mapped := prefix.Addr(), prefix.Bits()-96; addr.Is4In6() && mapped >= 0 {
		prefix = netip.PrefixFrom(addr.Unmap(), mapped)
	}
	return prefix.Masked(), err
}
