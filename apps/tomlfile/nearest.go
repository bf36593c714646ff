package tomlfile

import "strings"

// Nearest returns the choice that was most likely meant by word, or "" if none is close.
// About one letter in three may be wrong, missing, additional or swapped with its
// neighbor. A dash counts as an underscore.
func Nearest(word string, choices []string) string {
	word = strings.ReplaceAll(strings.ToLower(word), "-", "_")
	best, limit := "", min(max(1, len(word)/3), 3)+1
	for _, choice := range choices {
		// The difference in length alone excludes most choices, and bounds the work.
		if d := len(choice) - len(word); d >= limit || -d >= limit {
			continue
		}
		if d := distance(word, choice); d < limit {
			best, limit = choice, d
		}
	}
	return best
}

// distance returns the number of edits from a to b. An edit inserts, deletes or replaces a
// letter, or swaps two neighbors.
func distance(a, b string) int {
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
