// Package hook is the program dnet-hook: it gives a container its networks when a runtime
// that knows nothing of them, such as runc or crun, starts it. The runtime calls it as a
// hook of the OCI runtime specification, with the state of the container on the standard
// input.
//
// There are three commands:
//
//   - attach, as createRuntime or prestart hook, asks the daemon for a sandbox on the
//     container's network namespace and connects it with the networks that the
//     annotations of the container name. All or nothing: if something fails, what was
//     done is taken back, and the runtime gives the container up.
//   - detach, as poststop hook, takes all of it away. It may be called again and again,
//     and needs neither the container's process nor its bundle. The daemon does it too
//     when the container's first process has ended, so that nothing is left of what a
//     runtime has forgotten.
//   - setkey, also when the program is called libnetwork-setkey, is the hook of 2017's
//     library: it gives a sandbox that another program has made with
//     OptionUseExternalKey its namespace. See libnetwork.SetExternalKey.
//
// docs/oci-hook.md is the page for users. [Run] is the program: a Go program that uses
// the library can be its own hook by calling it.
package hook
