{{- define "failsoft.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "failsoft.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "failsoft.labels" -}}
{{ include "failsoft.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- /* How long Kubernetes waits until a pod has stopped: never less than the workers need. */ -}}
{{- define "failsoft.termination" -}}
{{- $least := int (add .Values.shutdownGrace 15) -}}
{{- $given := .Values.terminationGracePeriodSeconds -}}
{{- if and $given (lt (int $given) $least) -}}
{{- fail (printf "expected terminationGracePeriodSeconds of at least shutdownGrace + 15 = %d, got %d" $least (int $given)) -}}
{{- end -}}
{{- $given | default $least -}}
{{- end -}}

{{- /* Refuses workers of an engine that no process would be configured for. */ -}}
{{- define "failsoft.expectEngine" -}}
{{- $names := list -}}
{{- range .root.Values.engines -}}{{- $names = append $names (splitList "=" . | first) -}}{{- end -}}
{{- if not (has .engine $names) -}}
{{- fail (printf "expected workers of engines (%s), got workers.%s" (join ", " $names) .engine) -}}
{{- end -}}
{{- end -}}

{{- define "failsoft.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "failsoft.environment" -}}
- name: FAILSOFT_JOBS
  value: {{ join "," .Values.jobs | quote }}
- name: FAILSOFT_ENGINES
  value: {{ join "," .Values.engines | quote }}
- name: FAILSOFT_LOG_FORMAT
  value: json
- name: FAILSOFT_HEALTH
  value: {{ printf "0.0.0.0:%d" (int .Values.health.port) | quote }}
- name: FAILSOFT_SHUTDOWN_GRACE
  value: {{ printf "%ds" (int .Values.shutdownGrace) | quote }}
{{- range $variable, $key := .Values.secrets.keys }}
{{- if $key }}
- name: {{ $variable }}_FILE
  value: {{ printf "/run/secrets/failsoft/%s" $key | quote }}
{{- end }}
{{- end }}
{{- range $variable, $value := .Values.settings }}
- name: {{ $variable }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "failsoft.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{- define "failsoft.podBasics" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: { type: RuntimeDefault }
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: tmp
    emptyDir:
      {{- with .Values.tmp.medium }}
      medium: {{ . }}
      {{- end }}
      sizeLimit: {{ .Values.tmp.sizeLimit }}
  - name: secrets
    secret:
      secretName: {{ .Values.secrets.existingSecret }}
      defaultMode: 0440
{{- end -}}

{{- define "failsoft.mounts" -}}
- name: tmp
  mountPath: /tmp
- name: secrets
  mountPath: /run/secrets/failsoft
  readOnly: true
{{- end -}}

{{- /* One Deployment with its PodDisruptionBudget: .root, .name, .command, .replicas, .keda, .slots, .resources */ -}}
{{- define "failsoft.deployment" -}}
{{- $name := printf "%s-%s" (include "failsoft.fullname" .root) .name | trunc 63 | trimSuffix "-" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels:
    {{- include "failsoft.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .name }}
spec:
  {{- if not .keda }}
  replicas: {{ .replicas }}
  {{- end }}
  strategy:
    type: RollingUpdate
    rollingUpdate: { maxUnavailable: 0, maxSurge: 1 }
  selector:
    matchLabels:
      {{- include "failsoft.selector" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .name }}
  template:
    metadata:
      labels:
        {{- include "failsoft.labels" .root | nindent 8 }}
        app.kubernetes.io/component: {{ .name }}
        {{- with .root.Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .root.Values.podAnnotations }}
      annotations: {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "failsoft.podBasics" .root | nindent 6 }}
      terminationGracePeriodSeconds: {{ include "failsoft.termination" .root }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "failsoft.selector" .root | nindent 14 }}
              app.kubernetes.io/component: {{ .name }}
      containers:
        - name: worker
          image: {{ include "failsoft.image" .root }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args: {{ concat (list "failsoft" "worker") .command | toJson }}
          env:
            {{- include "failsoft.environment" .root | nindent 12 }}
            {{- with .slots }}
            - name: FAILSOFT_SLOTS
              value: {{ . | quote }}
            {{- end }}
          ports:
            - { name: health, containerPort: {{ .root.Values.health.port }} }
          startupProbe:
            httpGet: { path: /startupz, port: health }
            periodSeconds: 2
            failureThreshold: 90
            timeoutSeconds: 5
          livenessProbe:
            httpGet: { path: /livez, port: health }
            periodSeconds: 10
            failureThreshold: 3
            timeoutSeconds: 5
          readinessProbe:
            httpGet: { path: /readyz, port: health }
            periodSeconds: 5
            failureThreshold: 2
            timeoutSeconds: 5
          resources: {{- toYaml (.resources | default .root.Values.resources) | nindent 12 }}
          securityContext: {{- include "failsoft.containerSecurity" .root | nindent 12 }}
          volumeMounts: {{- include "failsoft.mounts" .root | nindent 12 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $name }}
  labels:
    {{- include "failsoft.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .name }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "failsoft.selector" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .name }}
{{- if .keda }}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ $name }}
  labels:
    {{- include "failsoft.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .name }}
spec:
  scaleTargetRef:
    name: {{ $name }}
  minReplicaCount: {{ .keda.min | default 1 }}
  maxReplicaCount: {{ .keda.max }}
  triggers:
    # Running jobs count, too: otherwise workers would be taken away from long ones.
    - type: postgresql
      metadata:
        query: >-
          SELECT count(*) FROM failsoft_jobs WHERE queue = '{{ .queue }}' AND engine = '{{ .engine }}'
          AND state IN ('offered', 'running')
        targetQueryValue: {{ .keda.target | quote }}
      authenticationRef:
        name: {{ include "failsoft.fullname" .root }}-keda
{{- end }}
{{- end -}}
