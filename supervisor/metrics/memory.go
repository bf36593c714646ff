package metrics

import (
	"github.com/multisite/multisite/supervisor/status"
)

// processMemory sends the memory of a process. site is "" for those that belong to none.
func (s scrape) processMemory(site, process string, m status.Memory) {
	s.value(memoryBytes, float64(m.PSS), site, process, "pss")
	s.value(memoryBytes, float64(m.USS), site, process, "uss")
	s.value(memoryBytes, float64(m.RSS), site, process, "rss")
}

// memory sends the memory of each process of a site. What its processes have started is one
// entry, "others": the site decides how many there are. While workers are replaced, the old
// and the new one may have the same name, and are one entry.
func (s scrape) memory(st status.Site, more Site) {
	by, cpu := map[string]status.Memory{}, map[string]float64{}
	others := st.Memory.Memory // less all that has a name
	add := func(process string, m status.Memory) { by[process] = by[process].Add(m) }
	named := func(process string, m status.Memory) {
		add(process, m)
		others = status.Memory{PSS: others.PSS - m.PSS, USS: others.USS - m.USS, RSS: others.RSS - m.RSS}
	}
	for _, w := range st.Workers {
		named(w.ID, w.Memory)
		cpu[w.ID] += w.CPU
	}
	if more.Zygote != nil {
		named("zygote", *more.Zygote)
	}
	add("others", others)
	for _, v := range st.Services {
		add("service "+v.Name, v.Memory)
		if v.Old != nil {
			add("service "+v.Name, v.Old.Memory)
		}
	}
	for _, c := range st.Cron {
		add("cron "+c.Name, c.Memory)
	}
	for process, m := range by {
		s.processMemory(st.Name, process, m)
	}
	for process, seconds := range cpu {
		s.value(cpuSeconds, seconds, st.Name, process)
	}
}
