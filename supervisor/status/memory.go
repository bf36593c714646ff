package status

// Memory is the memory of one or more processes, in bytes.
type Memory struct {
	PSS int64 `json:"pss"` // counts a shared page once over all processes, so sums of it are true
	USS int64 `json:"uss"` // what ending the process would free
	RSS int64 `json:"rss"` // counts shared pages in full for every process
}

// Add returns the sum of m and n.
func (m Memory) Add(n Memory) Memory {
	return Memory{PSS: m.PSS + n.PSS, USS: m.USS + n.USS, RSS: m.RSS + n.RSS}
}

// SiteMemory is the sum over a site's workers, its zygote, and what its processes have
// started themselves.
type SiteMemory struct {
	Memory
	ZygotePSS int64 `json:"zygote_pss"`
	OthersPSS int64 `json:"others_pss"` // of what its processes have started
	// Saved is what forking saves: how much more the same workers would hold if each
	// had its anonymous pages for itself, less the zygote.
	Saved int64 `json:"saved"`
}

// Total returns the memory of the supervisor and all that it runs.
func (s Status) Total() Memory {
	total := s.Supervisor.Memory.Add(s.Supervisor.Others)
	for _, site := range s.Sites {
		total = total.Add(site.Total())
	}
	return total
}

// Total returns the memory of all that runs for the site: workers, zygote, services and
// cron entries.
func (s Site) Total() Memory {
	total := s.Memory.Memory
	for _, service := range s.Services {
		total = total.Add(service.Memory)
		if service.Old != nil {
			total = total.Add(service.Old.Memory)
		}
	}
	for _, entry := range s.Cron {
		total = total.Add(entry.Memory)
	}
	return total
}
