package config

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/worker/account"
)

// topLevel reads the keys above the first table, but not include.
func (l *loader) topLevel(top *tomlfile.Table) {
	l.config.Listen = []string{"127.0.0.1:8080"}
	if items, ok := top.Items("listen"); ok {
		l.config.Listen = listen(top, items)
	}
	l.readDashboard(top)
	l.readControlGroup(top)
	l.config.StateDir = stateDir(l.files[0])
	if info, err := os.Stat(l.config.StateDir); err == nil && !info.IsDir() {
		top.Problem("state_dir", "not a directory: "+l.config.StateDir, "")
	}
	l.config.LogDir = filepath.Join(l.config.StateDir, "logs")
	top.Path("log_dir", &l.config.LogDir)
	l.config.LogMaxSize, l.config.LogKeep = 64<<20, 3
	top.Size("log_max_size", &l.config.LogMaxSize)
	top.Int("log_keep", &l.config.LogKeep, 0)
	clients := &l.config.Timeouts
	readTimeout(top, "header_timeout", &clients.Header)
	readTimeout(top, "idle_timeout", &clients.Idle)
	readTimeout(top, "client_timeout", &clients.Client)
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

// readDashboard reads where the status page is served. It shows what a stranger
// must not see, so only this machine may be asked to.
func (l *loader) readDashboard(top *tomlfile.Table) {
	var value string
	if !top.String("dashboard", &value) {
		return
	}
	address, ok := parseAddress(value)
	host, _, _ := net.SplitHostPort(address) // it has just been joined
	if ip, err := netip.ParseAddr(host); !ok || host != "localhost" && (err != nil || !ip.IsLoopback()) {
		top.Problem("dashboard", fmt.Sprintf("%q is not a loopback address", value), `write one such as "127.0.0.1:8081"`)
	}
	l.config.Dashboard = address
}

// readControlGroup reads which group may use the control socket. The kernel lets
// nobody but root give a file to a group that he is not in.
func (l *loader) readControlGroup(top *tomlfile.Table) {
	said := say(top, "control_group")
	if said == nil {
		return
	}
	gid, err := account.FindGroup(said.value)
	if err != nil {
		top.Problem("control_group", err.Error(), "")
		return
	}
	groups, _ := os.Getgroups() // of which there is always one
	if os.Geteuid() != 0 && gid != os.Getegid() && !slices.Contains(groups, gid) {
		top.Problem("control_group", fmt.Sprintf("whoever runs multisite is not in group %q", said.value), "name one that is shown by the command id")
	}
	l.config.ControlGroup = &gid
}

func listen(top *tomlfile.Table, items []tomlfile.Item) []string {
	var addresses []string
	for _, item := range items {
		address, ok := parseAddress(item.Value)
		if !ok {
			top.ProblemAt(item.Position, "listen", fmt.Sprintf("%q is not host:port", item.Value),
				`write one such as "127.0.0.1:8080" or ":8080"`)
			continue
		}
		if slices.Contains(addresses, address) {
			top.ProblemAt(item.Position, "listen", fmt.Sprintf("%q is there twice", item.Value), "")
		}
		addresses = append(addresses, address)
	}
	if len(items) == 0 {
		top.Problem("listen", "must name at least one address", "")
	}
	return addresses
}

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

// parsePrefix takes one address as a network of one. Networks of IPv4 are that however
// they are written: "::ffff:10.0.0.0/104" is 10.0.0.0/8.
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
