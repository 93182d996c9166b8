// Command cri runs a pod with one container by the Container Runtime Interface, as a kubelet
// does, and removes it again: up to where it is told.
//
//	cri SOCKET run IMAGE HOST_PORT COMMAND...   runs both, prints "POD ADDRESS"
//	cri SOCKET remove POD                       stops and removes both
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// patience is how long all may take.
const patience = time.Minute

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cri:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) < 3 {
		return fmt.Errorf("want SOCKET run IMAGE HOST_PORT COMMAND... or SOCKET remove POD")
	}
	conn, err := grpc.NewClient("unix://"+arguments[0], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // it ends with the process
	client := runtime.NewRuntimeServiceClient(conn)
	switch verb, rest := arguments[1], arguments[2:]; {
	case verb == "run" && len(rest) > 2:
		return runPod(ctx, client, rest[0], rest[1], rest[2:])
	case verb == "remove":
		return removePod(ctx, client, rest[0])
	}
	return fmt.Errorf("verb %q: want run or remove", arguments[1])
}

func runPod(ctx context.Context, client runtime.RuntimeServiceClient, image, port string, command []string) error {
	hostPort, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		return err
	}
	config := &runtime.PodSandboxConfig{
		Metadata:     &runtime.PodSandboxMetadata{Name: "web", Namespace: "default", Uid: "1"},
		Hostname:     "web",
		PortMappings: []*runtime.PortMapping{{Protocol: runtime.Protocol_TCP, ContainerPort: 80, HostPort: int32(hostPort)}},
		Linux:        &runtime.LinuxPodSandboxConfig{},
	}
	pod, err := client.RunPodSandbox(ctx, &runtime.RunPodSandboxRequest{Config: config})
	if err != nil {
		return err
	}
	made, err := client.CreateContainer(ctx, &runtime.CreateContainerRequest{
		PodSandboxId: pod.PodSandboxId, SandboxConfig: config,
		Config: &runtime.ContainerConfig{
			Metadata: &runtime.ContainerMetadata{Name: "web"}, Image: &runtime.ImageSpec{Image: image},
			Command: command, Linux: &runtime.LinuxContainerConfig{},
		},
	})
	if err != nil {
		return err
	}
	if _, err := client.StartContainer(ctx, &runtime.StartContainerRequest{ContainerId: made.ContainerId}); err != nil {
		return err
	}
	status, err := client.PodSandboxStatus(ctx, &runtime.PodSandboxStatusRequest{PodSandboxId: pod.PodSandboxId})
	if err != nil {
		return err
	}
	fmt.Println(pod.PodSandboxId, status.Status.Network.Ip)
	return nil
}

func removePod(ctx context.Context, client runtime.RuntimeServiceClient, pod string) error {
	if _, err := client.StopPodSandbox(ctx, &runtime.StopPodSandboxRequest{PodSandboxId: pod}); err != nil {
		return err
	}
	_, err := client.RemovePodSandbox(ctx, &runtime.RemovePodSandboxRequest{PodSandboxId: pod})
	return err
}
