package daemontest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
	"github.com/hooktroupe/hooktroupe/internal/pgtest"
)

// newerPeers is a file that the package of peers has in the build of a newer version: each time that this member tells another of
// something, it also sends a message of a type that the other has never heard of, a question and an answer of unknown kinds, and
// a field that nobody knows.
const newerPeers = `package peers

import (
	"context"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	pb "github.com/hooktroupe/hooktroupe/messages/clusterv1"
)

var newsType = func() protoreflect.MessageType {
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("cluster/v9/news.proto"), Package: proto.String("cluster.v9"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: proto.String("News"),
			Field: []*descriptorpb.FieldDescriptorProto{{
				Name: proto.String("text"), JsonName: proto.String("text"), Number: proto.Int32(1),
				Type:  descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(),
				Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
			}},
		}},
	}, nil)
	if err != nil {
		panic(err)
	}
	news := dynamicpb.NewMessageType(file.Messages().Get(0))
	if err := protoregistry.GlobalTypes.RegisterMessage(news); err != nil {
		panic(err)
	}
	return news
}()

func withNewerField[M proto.Message](m M) M {
	field := protowire.AppendTag(nil, 9999, protowire.BytesType)
	m.ProtoReflect().SetUnknown(protowire.AppendString(field, "what comes next"))
	return m
}

func (p *Peers) sayNewer(address string) {
	news := newsType.New()
	news.Set(newsType.Descriptor().Fields().Get(0), protoreflect.ValueOfString("what comes next"))
	p.link.System().Root.Send(actor.NewPID(address, target), news.Interface())
	p.link.System().Root.Send(actor.NewPID(address, target), withNewerField(&pb.Answer{Id: []byte("nobody asked for")}))
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, err := p.Ask(ctx, address, withNewerField(&pb.Ask{}))
		p.config.Log.Info("a question of a newer version: ", fmt.Sprint(err))
	}()
}
`

// newerBinary builds the daemon as a newer version might be.
func newerBinary(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	folder, peers := t.TempDir(), filepath.Join(root, "cluster", "peers")
	text := string(readFile(t, filepath.Join(peers, "peers.go")))
	const told = "m := &pb.ShardsStored{Shards: make([]uint32, len(shards))}"
	if strings.Count(text, told) != 1 {
		t.Fatalf("peers.go has no place, or several, where it says %s", told)
	}
	text = strings.Replace(text, told, "p.sayNewer(address)\n\tm := withNewerField(&pb.ShardsStored{Shards: make([]uint32, len(shards))})", 1)
	files := map[string]string{"peers.go": text, "newer.go": newerPeers}
	overlay := struct{ Replace map[string]string }{make(map[string]string)}
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[filepath.Join(peers, name)] = path
	}
	plan, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	replaceFile(t, filepath.Join(folder, "overlay.json"), plan)
	program := filepath.Join(folder, "hooktroupe")
	build := exec.Command("go", "build", "-race", "-overlay", filepath.Join(folder, "overlay.json"),
		"-ldflags", "-X main.version=newer", "-o", program, "./cmd/hooktroupe")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	return program
}

// TestMembersOfTwoVersions upgrades one member of three to a version that says what the others do not know: they refuse it, live, and
// all go on working. Then an older one is killed, and the newer takes part in what follows.
func TestMembersOfTwoVersions(t *testing.T) {
	program := newerBinary(t)
	sink := daemontest.NewSink(t)
	all, _ := membersBy(t, t.TempDir(), pgtest.Database(t), configuration(sink.URL), "2s", 3)
	for _, d := range all {
		d.Start()
	}
	urls := publish(all)
	load := sendToAll(t, 2, urls)
	load.answeredBy(t, all)

	upgraded, older := all[2], all[:2]
	if code := upgraded.Stop(); code != 0 {
		t.Errorf("the member that is upgraded exits with %d", code)
	}
	upgraded.Program = program
	restart(upgraded, urls[2])
	pids := []int{older[0].Pid(), older[1].Pid()}
	daemontest.Eventually(t, "the newer member hears that its question is not supported", func() bool {
		return strings.Contains(upgraded.Log(), "a question of a newer version: the member is of a version that does not know this")
	})
	for n, d := range older {
		daemontest.Eventually(t, fmt.Sprintf("older member %d refuses the newer message", n), func() bool {
			return strings.Contains(d.Log(), "a message of a type that is not accepted")
		})
	}
	load.answeredBy(t, all)
	for n, d := range older {
		if d.Pid() != pids[n] || d.Must(http.MethodGet, "/readyz", nil, nil).Code != http.StatusOK {
			t.Errorf("older member %d is not what it was", n)
		}
	}
	older[1].Kill()
	restart(older[1], urls[1])
	load.answeredBy(t, all)
	load.settled(t, older[0], sink)
}
