// Prints the verdict of kstatus, the library with which Flux waits for resources, on an object: reads the object as
// JSON from stdin, and prints the verdict (Current, InProgress, Failed, Terminating, Unknown), a tab, and its message.
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

// integers turns whole numbers into int64, as in objects from an API server; encoding/json makes them float64.
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
