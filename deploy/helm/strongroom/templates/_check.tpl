{{- /* Refuses what would not start, would lose data, or would have two writers; each message says what to do. */ -}}
{{- define "strongroom.check" -}}
{{- $found := include "strongroom.configuration" . | fromYaml -}}
{{- $settings := $found.settings -}}
{{- if and (gt (int .Values.replicas) 1) (not $found.isPostgres) -}}
  {{- fail (printf "replicas is %d, and the embedded store has one writer: set databaseUrlFile, so that they share a PostgreSQL" (int .Values.replicas)) -}}
{{- end -}}
{{- if regexMatch "^(localhost|127\\..*|\\[::1\\]):" $settings.listen -}}
  {{- fail (printf "listen is %s, which neither the Service nor the probes reach: 0.0.0.0:8480, or [::]:8480" $settings.listen) -}}
{{- end -}}
{{- if ne (hasKey $settings "tlsCertFile") (hasKey $settings "tlsKeyFile") -}}
  {{- fail "tlsCertFile and tlsKeyFile go together" -}}
{{- end -}}
{{- if not (or $found.isTls $settings.behindTlsProxy) -}}
  {{- fail "say how TLS is ended: tlsCertFile and tlsKeyFile, each {secretName, key} of a Secret, so that the server does it; or behindTlsProxy: true where something in front of it does" -}}
{{- end -}}
{{- if and (eq $settings.runner "process") (not $settings.runnerUids) -}}
  {{- fail "runner is process, and jobs would have the rights of the server's pod: leave it at none, so that they run in Kubernetes" -}}
{{- end -}}
{{- if not (hasPrefix "/var/lib/strongroom/" $settings.dataDir) -}}
  {{- fail (printf "dataDir is %s, which is not on the volume: a folder in /var/lib/strongroom" $settings.dataDir) -}}
{{- end -}}
{{- if $found.isPostgres -}}
  {{- $source := default "file" $settings.kekSource -}}
  {{- if and (eq $source "file") (not $settings.kekFile) -}}
    {{- fail "with databaseUrlFile the pods have no volume, and a key-encryption key that one of them made would be lost with it, and all values with the key: set kekFile to {secretName, key} of a Secret, or kekSource to vault or aws-kms" -}}
  {{- end -}}
  {{- if and (eq $source "aws-kms") (not (dig "kekAwsKms" "file" "" $settings)) -}}
    {{- fail "with databaseUrlFile the pods have no volume, and the file that AWS KMS encrypted would be lost with one: set kekAwsKms.file to {secretName, key} of a Secret" -}}
  {{- end -}}
{{- end -}}
{{- if .Values.serviceMonitor.enabled -}}
  {{- if not $found.metricsPort -}}
    {{- fail "serviceMonitor.enabled goes with metricsListen: 0.0.0.0:9480, the port that it reads" -}}
  {{- end -}}
  {{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.metricsFrom) -}}
    {{- fail "serviceMonitor.enabled, and networkPolicy lets nobody reach the metrics: name Prometheus in networkPolicy.metricsFrom" -}}
  {{- end -}}
{{- end -}}
{{- range .Values.extraEnv -}}
  {{- if hasPrefix "STRONGROOM_" .name -}}
    {{- fail (printf "extraEnv has %s: settings are values of the chart, under their names in the configuration file" .name) -}}
  {{- end -}}
{{- end -}}
{{- if has "admin" .Values.rbac.domains -}}
  {{- fail "rbac.domains has admin, whose Secret has a name of another form: print its role with strongroom k8s rbac --scope-objects" -}}
{{- end -}}
{{- if and .Values.rbac.workloadIdentity (not (dig "clusters" "inCluster" false $settings)) -}}
  {{- fail "rbac.workloadIdentity goes with clusters.inCluster: true" -}}
{{- end -}}
{{- end -}}
