// Package fileowner tells whose a file is.
package fileowner
