package main

import (
	"os"
	"strings"
	"testing"
)

func TestProgramIsThatOfTheReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```go\n")
	want, _, found := strings.Cut(rest, "```")
	got, err := os.ReadFile("main.go")
	if err != nil || !found {
		t.Fatal(err, found)
	}
	if string(got) != want {
		t.Error("main.go is not the first program of README.md: copy it from there")
	}
}
