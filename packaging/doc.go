// Package packaging holds what a distribution needs beside the program: units for systemd,
// an example of the configuration, and what a container engine needs to run the plugin. Its test checks them, and the Debian package.
package packaging
