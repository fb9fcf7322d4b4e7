package sha256x2

// WithoutInstructions makes all that f does do without them.
func WithoutInstructions(f func()) {
	had := fast
	fast = false
	defer func() { fast = had }()
	f()
}
