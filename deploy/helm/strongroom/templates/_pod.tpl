{{- /* The pod's template, but for the volume `data`. */ -}}
{{- define "strongroom.podTemplate" -}}
{{- $found := include "strongroom.configuration" . | fromYaml -}}
{{- $scheme := ternary "HTTPS" "HTTP" $found.isTls -}}
metadata:
  annotations:
    checksum/configuration: {{ toJson $found | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "strongroom.selectorLabels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "strongroom.serviceAccountName" . }}
  automountServiceAccountToken: {{ (include "strongroom.cluster" . | fromYaml).token }}
  # For a Service named strongroom they would be STRONGROOM_PORT and others, which are no settings.
  enableServiceLinks: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  containers:
    - name: server
      image: {{ include "strongroom.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve]
      env:
        # Commands of an operator in this pod read it, too.
        - name: STRONGROOM_CONFIG
          value: /etc/strongroom/strongroom.yaml
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: api
          containerPort: {{ $found.port }}
        {{- if $found.metricsPort }}
        - name: metrics
          containerPort: {{ $found.metricsPort }}
        {{- end }}
      startupProbe:
        httpGet: { path: /healthz, port: api, scheme: {{ $scheme }} }
        periodSeconds: 2
        timeoutSeconds: 5
        failureThreshold: {{ div .Values.startupSeconds 2 }}
      livenessProbe:
        httpGet: { path: /healthz, port: api, scheme: {{ $scheme }} }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: { path: /readyz, port: api, scheme: {{ $scheme }} }
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 2
      {{- if $found.isPostgres }}
      lifecycle:
        preStop:
          # Until nobody sends it new requests any more.
          sleep: { seconds: 5 }
      {{- end }}
      {{- with .Values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - { name: configuration, mountPath: /etc/strongroom, readOnly: true }
        {{- if $found.files }}
        - { name: files, mountPath: /run/secrets/strongroom, readOnly: true }
        {{- end }}
        - { name: data, mountPath: /var/lib/strongroom }
        - { name: tmp, mountPath: /tmp }
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: configuration
      configMap: { name: {{ include "strongroom.fullname" . }} }
    {{- if $found.files }}
    - name: files
      projected:
        # The group is fsGroup.
        defaultMode: 0440
        sources:
          {{- range $setting, $file := $found.files }}
          {{- if $file.secretName }}
          - secret:
              name: {{ $file.secretName | quote }}
              items: [{ key: {{ $file.key | quote }}, path: {{ $setting | quote }} }]
          {{- else }}
          - configMap:
              name: {{ $file.configMapName | quote }}
              items: [{ key: {{ $file.key | quote }}, path: {{ $setting | quote }} }]
          {{- end }}
          {{- end }}
    {{- end }}
    {{- if $found.isPostgres }}
    - name: data
      emptyDir: {}
    {{- end }}
    - name: tmp
      emptyDir: {}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
