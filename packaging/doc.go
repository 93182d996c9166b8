// Package packaging holds what a distribution needs beside the program: units for systemd,
// an example of the configuration, a list for the CNI plugin, and what a container engine
// needs to run a plugin. Its test checks them, and the Debian package.
package packaging
