// Package supervisor joins the parts of multisite: it reads sites.toml, starts and
// stops things in order, and passes what happens between packages that do not know
// one another.
//
// docs/architecture.md describes the whole: processes, who imports whom, the life of a
// request, generations, upgrade, and a glossary. docs/security.md lists what a hostile
// process of a site holds.
//
// # What this package owns
//
// A Supervisor has the sites, the front door, the control socket, the journal and the
// logs. Only it knows the order of things: what is started before what, what must be
// ready before the old is stopped, and what is given up when something fails.
//
// A site is a Backend of the front door, with a pool of workers, its services and its
// cron entries. A generation is a Launcher of its pool: what all workers of it are
// launched with. The code, the settings and the environment of a generation never
// change; a reload makes another one.
//
// # What always holds
//
//   - No code of an application runs in this process.
//   - Every process that was started is stopped: by its owner here, by the kernel when the
//     supervisor dies (PR_SET_PDEATHSIG), or by the next start, which finds it by the mark
//     in its environment.
//   - A reload or restart that fails has changed nothing of its site.
//   - An upgrade that fails has changed nothing.
//
// This package never parses TOML, speaks no protocol of workers, and decides about no
// single request: that is for config, the runtimes under worker, and the front door.
package supervisor
