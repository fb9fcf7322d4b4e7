package source

// After is after.
func (m Mapping) After(after string) (start string, ok bool) { return m.after(after) }
