// Package config holds the configuration of a controller: what New takes as
// options, and what dnet reads from a TOML file.
//
// An option with bad input does not panic and is not lost: [Config.Validate], which
// New calls, tells of it. Later options override earlier ones.
package config
