package sha256x2

// WithoutInstructions calls f while the SHA instructions are not used.
func WithoutInstructions(f func()) {
	had := fast
	fast = false
	defer func() { fast = had }()
	f()
}
