package static

import (
	"encoding/json"
	"io"
)

const (
	manifestName = "staticfiles.json" // as Django's ManifestStaticFilesStorage writes it
	maxManifest  = 8 << 20
	maxManifests = 64
)

// manifest is what a directory says of names that never get other contents.
type manifest struct {
	id     identity
	hashed map[string]bool
}

// manifestKey is a directory, as one site sees it.
type manifestKey struct{ site, dir string }

// manifest returns what was read of a directory before; nil: nothing.
func (f *Files) manifest(k manifestKey) *manifest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.manifests[k]
}

// noteManifest keeps what was read; nil: there is none.
func (f *Files) noteManifest(k manifestKey, m *manifest) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m == nil {
		delete(f.manifests, k)
		return
	}
	if _, known := f.manifests[k]; !known && len(f.manifests) >= maxManifests {
		clear(f.manifests)
	}
	f.manifests[k] = m
}

// readManifest returns the manifest of a directory, which is old if it was not changed; nil
// if there is none.
func (p place) readManifest(old *manifest) *manifest {
	file, info, _ := p.openRegular(manifestName)
	if file == nil {
		return nil
	}
	defer file.Close()
	m := &manifest{id: identityOf(info)}
	if old != nil && old.id == m.id {
		return old
	}
	if info.Size() > maxManifest {
		return m
	}
	text, err := io.ReadAll(io.LimitReader(file, maxManifest))
	var django struct {
		Paths map[string]string `json:"paths"`
	}
	if err != nil || json.Unmarshal(text, &django) != nil {
		return m // it may be about to be written: then it changes
	}
	m.hashed = make(map[string]bool, len(django.Paths))
	for name, hashed := range django.Paths {
		if hashed != name { // one that has no hash is listed, too
			m.hashed[hashed] = true
		}
	}
	return m
}
