// Package access decides who may do what, by policies as those of lakeFS.
package access
