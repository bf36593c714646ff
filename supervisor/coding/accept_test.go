package coding

import "testing"

func TestParse(t *testing.T) {
	for _, test := range []struct {
		header string
		want   Coding
	}{
		{"", Identity},
		{"gzip", Gzip},
		{"gzip, deflate, br, zstd", Brotli},
		{"gzip, zstd", Zstd},
		{"GZIP;Q=1.0", Gzip},
		{"x-gzip", Gzip},
		{"gzip;q=0.9, br;q=0.8", Gzip},
		{"gzip;q=0", Identity},
		{"gzip;q=0.000", Identity},
		{"gzip;q=0.001", Gzip},
		{"gzip;q=0.0001", Identity},
		{"gzip;q=2", Identity},
		{"gzip;q=", Identity},
		{"gzip;q=.5", Gzip},
		{"gzip;q=x, br;q=1.5", Identity},
		{" gzip ; q=0.5 , br ; q = 0.4", Gzip},
		{"gzip;level=9", Identity},
		{"*", Brotli},
		{"*;q=0.5, br;q=0", Zstd},
		{"*;q=0, gzip", Gzip},
		{"*;q=0", Identity},
		{"*;q=0, identity", Identity},
		{"identity;q=0", Identity},
		{"identity;q=0, gzip;q=0.1", Gzip},
		{"identity;q=0, *", Brotli},
		{"identity, gzip;q=0.5", Identity},
		{"identity;q=0.5, gzip", Gzip},
		{"identity;q=0.5, gzip;q=0.5", Gzip},
		{"deflate, compress", Identity},
		{"gzipp, ngzip, gz", Identity},
		{",, ,gzip,", Gzip},
	} {
		if got := Parse(test.header).Best(Gzip, Zstd, Brotli); got != test.want {
			t.Errorf("%q: got %v, want %v", test.header, got, test.want)
		}
	}
	if got := Parse("br, gzip;q=0.5").Best(Made...); got != Gzip {
		t.Errorf("without brotli: got %v", got)
	}
	if got := Parse("br").Best(); got != Identity {
		t.Errorf("without any: got %v", got)
	}
	if n := testing.AllocsPerRun(100, func() { Parse("gzip, deflate, br;q=0.5, zstd").Best(Brotli) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
