package etchosts

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

const (
	mark      = "# libnetwork: "
	beginMark = mark + "begin: these lines follow the container's networks; what you change stays"
	endMark   = mark + "end"
)

// hashesPerMark keeps marks far below 512 bytes: musl reads the file in pieces of that
// size and takes the rest of a longer comment for a line.
const hashesPerMark = 16

// file is a hosts file taken apart. Lines have no line ends.
type file struct {
	before, after []string // the user's, around the block
	ours          []string // to be written into the block
	hashes        []string // of lines that we wrote and the user changed or removed
	unended       bool     // the user's last line has no line end
}

// parse takes a file apart. What it returns has no lines of ours: they are written
// anew.
func parse(text string) file {
	lines := splitLines(text)
	var f file
	if last := len(lines) - 1; last >= 0 {
		f.unended = !strings.HasSuffix(text, "\n") && !isMark(lines[last])
	}
	begin := slices.Index(lines, beginMark)
	end := len(lines) - 1
	for end > begin && !isEnd(lines[end]) {
		end--
	}
	if begin < 0 || end <= begin {
		f.before = withoutMarks(lines)
		return f
	}
	ours := map[string]bool{} // whether the line of a hash was found
	for _, line := range lines[begin+1 : end+1] {
		for _, h := range hashesOf(line) {
			ours[h] = false
		}
	}
	f.before = withoutMarks(lines[:begin])
	for _, line := range withoutMarks(lines[begin+1 : end]) {
		h := hash(line)
		if _, known := ours[h]; known {
			ours[h] = true
		} else {
			f.before = append(f.before, line)
		}
	}
	f.after = withoutMarks(lines[end+1:])
	for h, found := range ours {
		if !found {
			f.hashes = append(f.hashes, h)
		}
	}
	return f
}

// keepHashes forgets dropped lines that nobody asks for any more, and returns the
// lines that are not dropped.
func (f *file) keepHashes(wanted []string) []string {
	dropped := map[string]bool{}
	for _, h := range f.hashes {
		dropped[h] = true
	}
	f.hashes = nil
	var rest []string
	for _, line := range wanted {
		if h := hash(line); dropped[h] {
			f.hashes = append(f.hashes, h)
		} else {
			rest = append(rest, line)
		}
	}
	return rest
}

// String returns the text of the file. Without a block it is the user's to the last
// byte.
func (f *file) String() string {
	lines := slices.Clone(f.before)
	hashes := slices.Clone(f.hashes)
	for _, line := range f.ours {
		hashes = append(hashes, hash(line))
	}
	if len(hashes) > 0 {
		lines = append(append(lines, beginMark), f.ours...)
		for some := range slices.Chunk(hashes, hashesPerMark) {
			lines = append(lines, endMark+" "+strings.Join(some, " "))
		}
	}
	lines = append(lines, f.after...)
	if len(lines) == 0 {
		return ""
	}
	text := strings.Join(lines, "\n")
	if f.unended && (len(hashes) == 0 || len(f.after) > 0) {
		return text
	}
	return text + "\n"
}

func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

func withoutMarks(lines []string) []string {
	var out []string
	for _, line := range lines {
		if !isMark(line) {
			out = append(out, line)
		}
	}
	return out
}

func isMark(line string) bool { return line == beginMark || isEnd(line) }

func isEnd(line string) bool { return line == endMark || strings.HasPrefix(line, endMark+" ") }

func hashesOf(line string) []string {
	if !isEnd(line) {
		return nil
	}
	return strings.Fields(strings.TrimPrefix(line, endMark))
}

// hash needs only to tell an edited line from the one that was written, among the
// lines of one block.
func hash(line string) string {
	sum := sha256.Sum256([]byte(line))
	return hex.EncodeToString(sum[:4])
}
