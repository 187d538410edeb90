{{/* The release's name, with the chart's name unless it contains it already. It leaves room for suffixes. */}}
{{- define "weir.fullname" -}}
{{- $chart := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 46 | trimSuffix "-" -}}
{{- else if contains $chart .Release.Name -}}
{{- .Release.Name | trunc 46 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $chart | trunc 46 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "weir.operator" -}}
{{ include "weir.fullname" . }}-operator
{{- end -}}

{{/* A Deployment's selector can't be changed, so never add anything here. Runtime pods have another component. */}}
{{- define "weir.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "weir.labels" -}}
{{ include "weir.labelsAnd" (list . dict) }}
{{- end -}}

{{/* The labels of every object, with further ones of its own. Takes a list: the root, the labels. The chart's win. */}}
{{- define "weir.labelsAnd" -}}
{{- $root := index . 0 -}}
{{- $labels := fromYaml (include "weir.selectorLabels" $root) -}}
{{- $_ := set $labels "app.kubernetes.io/version" $root.Chart.AppVersion -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- $_ := set $labels "app.kubernetes.io/part-of" "weir" -}}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_") -}}
{{ toYaml (merge $labels (index . 1) $root.Values.commonLabels) }}
{{- end -}}

{{- define "weir.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "weir.operator" .) .Values.serviceAccount.name }}
{{- else -}}
{{ required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{/* Who may reach the HTTP port of pipelines: the operator and what scrapes metrics, as a JSON list of peers. */}}
{{- define "weir.ingressFrom" -}}
{{- $namespace := dict "matchLabels" (dict "kubernetes.io/metadata.name" .Release.Namespace) -}}
{{- $pods := dict "matchLabels" (fromYaml (include "weir.selectorLabels" .)) -}}
{{- $operator := dict "namespaceSelector" $namespace "podSelector" $pods -}}
{{ concat (list $operator) .Values.runtime.networkPolicy.scrapers | toJson }}
{{- end -}}

{{/* The texts in backticks with "or" between them, as a part of a sentence in CEL. */}}
{{- define "weir.oneOf" -}}
{{- if . -}}`{{ join "` or `" . }}`{{- else -}}nothing, since nothing is allowed{{- end -}}
{{- end -}}

{{/* An image reference. Takes a dict: image, version. */}}
{{- define "weir.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ default .version .image.tag }}
{{- end -}}
{{- end -}}

{{/* "true" where the platform assigns user ids to pods, and refuses pods that ask for another one. */}}
{{- define "weir.assignsUsers" -}}
{{- if eq (toString .Values.openshift) "auto" -}}
{{ .Capabilities.APIVersions.Has "security.openshift.io/v1" }}
{{- else -}}
{{ .Values.openshift }}
{{- end -}}
{{- end -}}

{{- define "weir.pod.securityContext" -}}
runAsNonRoot: true
{{- if ne (include "weir.assignsUsers" .) "true" }}
runAsUser: 65532
runAsGroup: 65532
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "weir.container.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
