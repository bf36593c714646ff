package tomlfile

// IsTable tells whether name is a table, for keys that may be one or a string.
func (t *Table) IsTable(name string) bool {
	value, _ := t.value(name)
	_, is := value.(map[string]any)
	return is
}
