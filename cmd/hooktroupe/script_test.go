package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hooktroupe": main})
}

// TestScripts runs testdata/script/*.txtar: command lines with what they print and how they exit. $SERVER is a stand-in
// for a daemon.
func TestScripts(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(standIn))
	t.Cleanup(server.Close)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("SERVER", server.URL)
			env.Setenv("HOOKTROUPE_SECRET", "script-secret")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// exits CODE COMMAND...: the command exits with that code.
			"exits": func(ts *testscript.TestScript, _ bool, args []string) {
				err := ts.Exec(args[1], args[2:]...)
				code := "0"
				if exit, failed := err.(interface{ ExitCode() int }); failed {
					code = string(rune('0' + exit.ExitCode()%10))
					if exit.ExitCode() == exitTryAgain {
						code = "75"
					}
				}
				if code != args[0] {
					ts.Fatalf("exit code %s, want %s", code, args[0])
				}
			},
		},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

const taskID = "0193570f-6f7c-7c1e-9d2a-0123456789ab"

const taskJSON = `{"webhook_id":"` + taskID + `","status":"completed","source":"github","event_type":"push",` +
	`"delivery_id":"d-1","created_at":1732000000.5,"updated_at":1732000001,"attempts":1,"max_attempts":3,"error":null,` +
	`"attempt_log":[{"number":1,"started_at":1732000000.75,"ended_at":1732000001,"outcome":"succeeded","error":null}]}`

// standIn answers as a daemon would that has one task.
func standIn(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	switch r.URL.Path {
	case "/webhooks/github":
		mac := hmac.New(sha256.New, []byte("script-secret"))
		mac.Write(body)
		if r.Header.Get("X-Hub-Signature-256") != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
			refuse(w, http.StatusUnauthorized, "The request is not authentic")
			return
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"webhook_id":"`+taskID+`","status":"queued"}`)
	case "/webhooks/full":
		refuse(w, http.StatusServiceUnavailable, "Too many tasks wait")
	case "/api/v1/webhook_status/" + taskID, "/api/v1/tasks/" + taskID + "/retry", "/api/v1/tasks/" + taskID + "/move":
		_, _ = io.WriteString(w, taskJSON)
	case "/api/v1/tasks", "/api/v1/tasks/" + taskID, "/api/v1/stream", "/near-by":
		standInForTasks(w, r, string(body))
	case "/api/v1/webhook_statuses":
		_, _ = io.WriteString(w, `{"webhooks":[`+taskJSON+`],"count":1,"next":"`+taskID+`"}`)
	default:
		standInForMany(w, r, string(body))
	}
}

const laneTaskJSON = `{"position":1,"webhook_id":"` + taskID + `","status":"retrying","source":"github","event_type":"push",` +
	`"created_at":"2026-01-31T12:00:00Z","due_at":"2026-01-31T12:05:00Z","attempts":1,"error":"away"}`

const laneJSON = `{"lanes":[{"route":"reviews","key":"o/r#1","policy":"serial","paused":false,` +
	`"why":"task x waits for its next attempt","waiting_total":7,"running":[],"waiting":[` + laneTaskJSON + `]}],"total":1}`

const sourcesJSON = `{"sources":[{"name":"forge","type":"gitlab","paths":["/webhooks/forge"],"state":"warning",` +
	`"last_accepted_at":"2026-01-31T12:00:00Z","consecutive_failures":3,"limit":4,"ack_within_seconds":10,"slow_acks":2,` +
	`"refused":9,"then":"It stops."},{"name":"new","type":"generic","paths":["/webhooks/new"],"state":"healthy",` +
	`"last_accepted_at":null,"consecutive_failures":0,"limit":null,"ack_within_seconds":null,"slow_acks":0,"refused":0,` +
	`"then":""}]}`

const routeJSON = `{"name":"reviews","source":"github","events":["push","pull_request"],"filter":"","key":"","policy":"serial",` +
	`"continue":false,"handlers":["bot"],"waiting":7,"running":1,"blocked":"handler bot: its breaker is open"}`

const handlersJSON = `{"name":"bot","type":"forward","target":"https://bot.example/hook","concurrency":2,"rate":0.5,"breaker":"open","routes":["reviews"],"waiting":7,` +
	`"running":1,"blocked":"its breaker is open","members":[]},{"name":"far","type":"remote","concurrency":0,"rate":0,"breaker":null,` +
	`"routes":[],"waiting":0,"running":0,"blocked":null,"members":[{"address":"10.0.0.1:8091","identity":"CN=worker","credits":8,` +
	`"running":3,"draining":false,"since":"2026-01-31T12:00:00Z","heard":"2026-01-31T12:00:01Z"}]}`

const overviewJSON = `{"now":{"queued":3,"processing":2,"retrying":1,"completed":90,"failed":4,"cancelled":0,"superseded":0,` +
	`"oldest_age":75.2},"budgets":[{"name":"journal","unit":"bytes","used":1048576,"limit":4194304},` +
	`{"name":"memory","unit":"bytes","used":2097152,"limit":0}],"samples":[{"at":"2026-01-31T12:00:00Z","accepted":1.25,"refused":0,` +
	`"finished":1,"failed":0.5,"waiting":3,"running":2,"oldest_age":75,"ack_p50":0.0012,"ack_p99":0.01,"attempt_p50":null,` +
	`"attempt_p99":null}],"sources":[{"name":"forge","type":"gitlab","paths":[],"state":"warning","last_accepted_at":null,` +
	`"consecutive_failures":3,"limit":4,"ack_within_seconds":10,"slow_acks":2,"refused":9,"then":"It stops."}]}`

const clusterJSON = `{"enabled":true,"self":{"name":"node-1","address":"10.0.0.1:7070","state":"joined","valid":true,` +
	`"valid_for_seconds":7.54,"answered_seconds":0.46,"trouble":null,"store_requests":900,"store_failures":2},"members":[` +
	`{"name":"node-1","address":"10.0.0.1:7070","version":"1.2.3","state":"alive","self":true,"joined_seconds":9000,"heartbeat_seconds":0.46,` +
	`"lease_seconds":9.54,"shards":2},{"name":"node-2","address":"10.0.0.2:7070","version":"","state":"silent","self":false,` +
	`"joined_seconds":93,"heartbeat_seconds":12,"lease_seconds":0,"shards":1}],"shards":[{"shard":0,"state":"owned","generation":3,"owner":"node-1",` +
	`"target":"node-1","moving":false,"held_seconds":90.2,"lease_seconds":9.54},{"shard":1,"state":"draining","generation":12,"owner":"node-1",` +
	`"target":"node-2","moving":true,"held_seconds":3,"lease_seconds":9.54},{"shard":2,"state":"unowned","generation":7,"owner":null,` +
	`"target":"node-1","moving":false,"held_seconds":null,"lease_seconds":null}]}`

// standInForMany answers about the lane o/r#1, the replay 7 and two sources.
func standInForMany(w http.ResponseWriter, r *http.Request, body string) {
	replay := `{"id":"7","state":"completed","filter":{},"rate":0,"total":42,"replayed":41,"refused":1,` +
		`"started_at":"2026-01-31T12:00:00Z","ended_at":"2026-01-31T12:00:01Z"}`
	switch r.Method + " " + r.URL.EscapedPath() {
	case "GET /api/v1/lanes", "GET /api/v1/lanes/o%2Fr%231", "POST /api/v1/lanes/o%2Fr%231/pause",
		"POST /api/v1/lanes/o%2Fr%231/skip":
		_, _ = io.WriteString(w, laneJSON)
	case "POST /api/v1/replays":
		if strings.Contains(body, `"dry_run":true`) && strings.Contains(body, `"error":"timeout"`) {
			_, _ = io.WriteString(w, `{"dry_run":true,"matches":42}`)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, replay)
	case "GET /api/v1/routes":
		_, _ = io.WriteString(w, `{"routes":[`+routeJSON+`]}`)
	case "GET /api/v1/handlers":
		_, _ = io.WriteString(w, `{"handlers":[`+handlersJSON+`]}`)
	case "GET /api/v1/overview":
		_, _ = io.WriteString(w, overviewJSON)
	case "GET /api/v1/cluster":
		_, _ = io.WriteString(w, clusterJSON)
	case "GET /alone/api/v1/cluster":
		_, _ = io.WriteString(w, `{"enabled":false,"self":null,"members":[],"shards":[]}`)
	case "GET /starting/api/v1/cluster":
		_, _ = io.WriteString(w, `{"enabled":true,"self":{"name":"node-1","address":"10.0.0.1:7070","state":"starting","valid":false,`+
			`"valid_for_seconds":0,"answered_seconds":null,"trouble":"the store does not answer","store_requests":3,"store_failures":3},`+
			`"members":[],"shards":[]}`)
	case "GET /api/v1/sources":
		_, _ = io.WriteString(w, sourcesJSON)
	case "GET /api/v1/replays/7":
		_, _ = io.WriteString(w, replay)
	case "GET /api/v1/replays":
		_, _ = io.WriteString(w, `{"replays":[`+replay+`]}`)
	case "POST /api/v1/replays/7/cancel":
		refuse(w, http.StatusConflict, "Replays are not in a state for that")
	default:
		refuse(w, http.StatusNotFound, "There is no such task")
	}
}

func refuse(w http.ResponseWriter, code int, title string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, `{"title":"`+title+`"}`)
}
