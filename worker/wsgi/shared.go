package wsgi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// AwaitShared waits until the modules that the site shares with others are loaded, if
// its next worker needs that. It has limits of its own, so that it takes no part of the
// time that the worker has. It returns early when ctx ends or the site is closed.
func (r *Runtime) AwaitShared(ctx context.Context) {
	r.mu.Lock()
	project := r.joined
	r.mu.Unlock()
	for project != nil && len(project.members) > 1 {
		select {
		case <-project.begin():
			project = project.restFor(r)
		case <-r.closed:
			return
		case <-ctx.Done():
			return
		}
	}
}

// prepareAnswer is the answer to the command "prepare".
type prepareAnswer struct {
	Ready        bool     `json:"ready"`         // the shared modules are imported
	Modules      int      `json:"modules"`       // how many they are
	LeftOut      []string `json:"left_out"`      // "site: why" of each site that cannot share
	Others       []string `json:"others"`        // sites that have little in common with those that share
	Unkept       []string `json:"unkept"`        // "site: why" of each learning result that could not be saved
	Seconds      float64  `json:"seconds"`       // how long it took
	FailedImport string   `json:"failed_import"` // module whose import failed; "": none
	Error        string   `json:"error"`         // why the import or all of it failed
}

// prepare makes the zygote import what the sites share. failed is the module that
// could not be imported; "": all were.
func (p *Project) prepare(z *zygote, without []string) (failed string, err error) {
	var configs []zygoteConfig
	for _, r := range p.members {
		configs = append(configs, r.zygoteConfig("zygote", len(p.members) > 1))
	}
	limit := p.timeToLearn()
	command := struct {
		Cmd       string         `json:"cmd"`
		Sites     []zygoteConfig `json:"sites"`
		Without   []string       `json:"without"`
		Deadline  float64        `json:"deadline_seconds"`
		Processor float64        `json:"processor_seconds"`
	}{"prepare", configs, without, limit.Seconds(), p.processorTime.Seconds()}
	var answer prepareAnswer
	if err := z.ask(2*limit, command, &answer); err != nil {
		return "", err
	}
	switch {
	case answer.FailedImport != "":
		p.log.Debug("module cannot be shared", "module", answer.FailedImport, "error", answer.Error)
		return answer.FailedImport, nil
	case !answer.Ready:
		return "", errors.New(answer.Error)
	}
	for _, text := range answer.LeftOut {
		site, reason, _ := strings.Cut(text, ": ")
		p.leaveOut(site, reason)
	}
	p.setApart(answer.Others)
	for _, text := range answer.Unkept {
		site, reason, _ := strings.Cut(text, ": ")
		p.log.Warn("what was learned about a site could not be saved and has to be learned again", "site", site, "reason", reason)
	}
	p.log.Info("project zygote ready", "pid", z.PID(), "modules", answer.Modules, "sites", len(p.members)-len(answer.Others)-len(answer.LeftOut), "seconds", answer.Seconds)
	return "", nil
}

// goOnWithout leaves out all sites when their modules were not loaded in time. A single
// site gets a zygote in which nothing is loaded.
func (p *Project) goOnWithout() (*zygote, error) {
	why := fmt.Sprintf("they were not loaded within %v", 2*p.timeToLearn())
	for _, r := range p.members {
		p.leaveOut(r.opts.Site, why)
	}
	if len(p.members) > 1 {
		return nil, errors.New(why)
	}
	return p.spawn()
}

// setApart makes a project of its own for sites that have little in common with the
// others. Sites that need no fork any more are not in it.
func (p *Project) setApart(names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var apart []*Runtime
	for _, r := range p.members {
		if slices.Contains(names, r.opts.Site) && p.expected[r] > 0 {
			apart = append(apart, r)
		}
	}
	if len(apart) == 0 || len(apart) == len(p.members) { // the latter is no honest answer, and would have no end
		return
	}
	p.rest = newProject(apart, p.log)
	p.rest.learnTime, p.rest.processorTime = p.learnTime, p.processorTime
	p.log.Info("sites share modules apart from the others, with which they have little in common", "sites", strings.Join(names, " "))
}

// restFor returns the project in which a site is instead of p; nil: there is none. It
// is called when p has started.
func (p *Project) restFor(r *Runtime) *Project {
	if p.rest == nil || !slices.Contains(p.rest.members, r) {
		return nil
	}
	return p.rest
}

// leaveOut notes that a site does not share modules, and why.
func (p *Project) leaveOut(site, why string) {
	p.leftOut[site] = why
	p.log.Warn("shared modules not learned", "site", site, "reason", why)
}

// timeToLearn returns how long learning may take by the clock: as long as each of the
// sites may take to start.
func (p *Project) timeToLearn() time.Duration {
	if p.learnTime > 0 {
		return p.learnTime
	}
	least := p.members[0].opts.startupLimit()
	for _, r := range p.members[1:] {
		least = min(least, r.opts.startupLimit())
	}
	return least
}
