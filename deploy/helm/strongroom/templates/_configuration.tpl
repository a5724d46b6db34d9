{{- /*
What the server is configured with, as YAML: `settings`, its file; `files`, by setting, the keys of Secrets and ConfigMaps that
are mounted for it; `isPostgres`, `isTls`; `port`, `metricsPort`.
*/ -}}
{{- define "strongroom.configuration" -}}
{{- $settings := dict -}}
{{- range include "strongroom.settingNames" . | fromJsonArray -}}
  {{- $value := get $.Values . -}}
  {{- /* What is empty says nothing, and then it is not said. */ -}}
  {{- if or $value (kindIs "bool" $value) -}}
    {{- $_ := set $settings . (deepCopy $value) -}}
  {{- end -}}
{{- end -}}
{{- /* Without a value it is the server's default, which the checks have to know. */ -}}
{{- $settings = merge $settings (dict "dataDir" "data" "listen" "127.0.0.1:8480" "runner" "process") -}}
{{- $files := dict -}}
{{- include "strongroom.takeFiles" (dict "settings" $settings "path" "" "files" $files) -}}

{{- $service := include "strongroom.fullname" . -}}
{{- $inNamespace := printf "%s.%s" $service .Release.Namespace -}}
{{- $hosts := list $service $inNamespace (printf "%s.svc" $inNamespace) (printf "%s.svc.cluster.local" $inNamespace) -}}
{{- if .Values.ingress.enabled -}}
  {{- $host := required "ingress.host is not set: the name that people use" .Values.ingress.host -}}
  {{- $hosts = append $hosts $host -}}
  {{- if not $settings.publicUrl -}}
    {{- $_ := set $settings "publicUrl" (printf "https://%s" $host) -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $settings "hosts" (concat (default list $settings.hosts) $hosts | uniq) -}}

{{- $isPostgres := hasKey $settings "databaseUrlFile" -}}
{{- if and $isPostgres (not $settings.auditAnchor) -}}
  {{- $_ := set $settings "auditAnchor" "stdout" -}}
{{- end -}}
{{- $metricsPort := regexFind "[0-9]+$" (default "" $settings.metricsListen) -}}
{{- $found := dict "settings" $settings "files" $files "isPostgres" $isPostgres -}}
{{- $_ := set $found "isTls" (hasKey $settings "tlsCertFile") -}}
{{- $_ := set $found "port" (regexFind "[0-9]+$" $settings.listen) -}}
{{- $_ := set $found "metricsPort" $metricsPort -}}
{{- toYaml $found -}}
{{- end -}}

{{- /* Puts paths in the place of references to Secrets and ConfigMaps, in .settings and below, and the references into .files. */ -}}
{{- define "strongroom.takeFiles" -}}
{{- range $name, $value := .settings -}}
  {{- if kindIs "map" $value -}}
    {{- $path := ternary $name (printf "%s.%s" $.path $name) (eq $.path "") -}}
    {{- if or (hasKey $value "secretName") (hasKey $value "configMapName") -}}
      {{- $_ := set $.files $path $value -}}
      {{- $_ := set $.settings $name (printf "/run/secrets/strongroom/%s" $path) -}}
    {{- else -}}
      {{- include "strongroom.takeFiles" (dict "settings" $value "path" $path "files" $.files) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- /*
What of the cluster's API the server uses, as YAML: `store`, whether a scope's secrets may be in it; `namespace` and `scopeObjects`
(the name, in that layout) of the store; `tokenSecret`, the Secret that the legacy Vault's token is in; `token`, whether the
pod signs in somewhere as its ServiceAccount.
*/ -}}
{{- define "strongroom.cluster" -}}
{{- $settings := (include "strongroom.configuration" . | fromYaml).settings -}}
{{- $kubernetes := default dict $settings.kubernetes -}}
{{- $openMetadata := default dict $settings.secretsManagerConfiguration -}}
{{- $legacy := default dict $settings.secretStore -}}
{{- $isLegacy := eq (toString $legacy.type) "kubernetes" -}}
{{- $store := or .Values.rbac.secrets $isLegacy (contains "kubernetes" (toString $openMetadata.secretsManager)) -}}
{{- range $_, $name := default dict $settings.stores -}}
  {{- if eq $name "kubernetes" -}}{{- $store = true -}}{{- end -}}
{{- end -}}
{{- $tokenSecret := "" -}}
{{- if eq (toString $legacy.type) "vault" -}}
  {{- $tokenSecret = dig "vaultSettings" "tokenSecret" "name" "" $legacy -}}
{{- end -}}
{{- $namespace := default (dig "parameters" "namespace" "" $openMetadata) $kubernetes.namespace | default .Release.Namespace -}}
{{- if contains "$" $namespace -}}
  {{- fail "secretsManagerConfiguration.parameters.namespace is taken from a variable; set kubernetes.namespace, so that the role is in the right namespace" -}}
{{- end -}}
{{- $layout := ternary "scope-objects" (default "object-per-secret" $kubernetes.layout) $isLegacy -}}
{{- $name := default (ternary "iomete" "strongroom" $isLegacy) $kubernetes.name -}}
{{- $token := or .Values.serviceAccount.automountToken .Values.rbac.workloadIdentity (dig "inCluster" false (default dict $settings.clusters)) -}}
{{- if and (or $store $tokenSecret) $kubernetes.inCluster -}}{{- $token = true -}}{{- end -}}
{{- range list "vault" "kekVault" -}}
  {{- if eq (dig . "method" "" $settings) "kubernetes" -}}{{- $token = true -}}{{- end -}}
{{- end -}}
{{- $found := dict "store" $store "namespace" $namespace "tokenSecret" $tokenSecret "token" $token -}}
{{- $_ := set $found "scopeObjects" (ternary $name "" (eq $layout "scope-objects")) -}}
{{- toYaml $found -}}
{{- end -}}
