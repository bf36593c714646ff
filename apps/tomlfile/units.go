package tomlfile

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// parseDuration returns the duration, or a message that says what is wrong with s, and a
// hint.
func parseDuration(s string) (d time.Duration, message, hint string) {
	if isDigits(s) {
		return 0, fmt.Sprintf("%q has no unit", s), fmt.Sprintf(`write "%ss"`, s)
	}
	if n, unit, ok := longUnit(s); ok {
		return time.Duration(n) * unit, "", ""
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Sprintf("%q is not a duration", s), `write one such as "500ms", "30s", "5m" or "1h30m"`
	}
	if d < 0 {
		return 0, fmt.Sprintf("%q is negative", s), ""
	}
	return d, "", ""
}

// longUnit reads a whole number of days or years of 365 days, up to a hundred years.
func longUnit(s string) (n int, unit time.Duration, ok bool) {
	const day = 24 * time.Hour
	for suffix, unit := range map[string]time.Duration{"d": day, "y": 365 * day} {
		if digits, found := strings.CutSuffix(s, suffix); found && isDigits(digits) {
			n, err := strconv.Atoi(digits)
			return n, unit, err == nil && n <= int(100*365*day/unit)
		}
	}
	return 0, 0, false
}

// sizeUnits has decimal units with their SI meaning, so that "200MB" in a file is 200 MB in
// a report of the operating system.
var sizeUnits = map[string]int64{
	"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30,
}

// parseSize returns the number of bytes, or a message that says what is wrong with s, and
// a hint.
func parseSize(s string) (n int64, message, hint string) {
	if isDigits(s) {
		return 0, fmt.Sprintf("%q has no unit", s), fmt.Sprintf(`write "%sB", "%sKB" or "%sMB"`, s, s, s)
	}
	unit := strings.TrimLeft(s, "0123456789")
	digits := strings.TrimSuffix(s, unit)
	factor := sizeUnits[strings.ToUpper(unit)]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || factor == 0 || n > math.MaxInt64/factor {
		return 0, fmt.Sprintf("%q is not a size", s), `write one such as "64MB"; units: B, KB, MB, GB, KiB, MiB, GiB`
	}
	return n * factor, "", ""
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
