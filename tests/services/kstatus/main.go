// What kstatus makes of an object, by which Flux waits for resources: reads it as JSON from stdin, prints the verdict (Current,
// InProgress, Failed, Terminating, Unknown) and its message, with a tab between.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func main() {
	object := map[string]any{}
	if err := json.NewDecoder(os.Stdin).Decode(&object); err != nil {
		fail("read an object from stdin", err)
	}
	result, err := status.Compute(&unstructured.Unstructured{Object: integers(object).(map[string]any)})
	if err != nil {
		fail("compute its status", err)
	}
	fmt.Printf("%s\t%s\n", result.Status, result.Message)
}

// Whole numbers are int64 in objects that come from an API server; encoding/json makes them float64.
func integers(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			value[key] = integers(inner)
		}
	case []any:
		for i, inner := range value {
			value[i] = integers(inner)
		}
	case float64:
		if value == float64(int64(value)) {
			return int64(value)
		}
	}
	return value
}

func fail(doing string, err error) {
	fmt.Fprintf(os.Stderr, "kstatus: %s: %v\n", doing, err)
	os.Exit(1)
}
