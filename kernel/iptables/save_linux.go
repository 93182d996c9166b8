package iptables

import "strings"

// line is a rule as a save prints it.
type line struct {
	table, chain string
	// spec is the rule from the chain on.
	spec            string
	comment, target string
}

// place is a chain of a table.
type place struct{ table, chain string }

// parseSave reads what iptables-save prints: the chains, and the rules in their order.
// What is not of that form, such as a remark about tables of others, is passed over.
func parseSave(text string) (map[place]bool, []line) {
	chains := make(map[place]bool)
	var lines []line
	table := ""
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(l)
		switch {
		case strings.HasPrefix(l, "*"):
			table = l[1:]
		case strings.HasPrefix(l, ":"):
			name, _, _ := strings.Cut(l[1:], " ")
			chains[place{table, name}] = true
		case strings.HasPrefix(l, "-A "):
			lines = append(lines, parseLine(table, l[len("-A "):]))
		}
	}
	return chains, lines
}

func parseLine(table, spec string) line {
	all := words(spec)
	if len(all) == 0 {
		return line{table: table, spec: spec}
	}
	out := line{table: table, chain: all[0], spec: spec}
	for i := 1; i+1 < len(all); i++ {
		switch all[i] {
		case "--comment":
			out.comment = all[i+1]
		case "-j", "-g":
			out.target = all[i+1]
		default:
			continue
		}
		i++
	}
	return out
}

// words splits at blanks outside of double quotes; a backslash inside them takes the next
// character as it is.
func words(text string) []string {
	var out []string
	var word strings.Builder
	quoted, escaped, begun := false, false, false
	for _, c := range []byte(text) {
		switch {
		case escaped:
			escaped = false
			word.WriteByte(c)
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted, begun = !quoted, true
		case c == ' ' && !quoted:
			if begun {
				out = append(out, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if begun {
		out = append(out, word.String())
	}
	return out
}
