package demo

// ErrInterrupted is what Run returns if ctx ends before the demo does.
var ErrInterrupted = errInterrupted
