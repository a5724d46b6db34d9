/** What each shell runs to complete a command line; all ask the hidden `strongroom __complete`. */
export const completionScripts = {
  bash: `# bash completion of strongroom: eval "$(strongroom completion bash)"
_strongroom() {
  local IFS=$'\\n'
  COMPREPLY=($(strongroom __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1))
}
complete -o default -F _strongroom strongroom
`,
  zsh: `#compdef strongroom
# zsh completion of strongroom: eval "$(strongroom completion zsh)", after compinit
_strongroom() {
  local -a found
  local word summary
  while IFS=$'\\t' read -r word summary; do
    found+=("\${word//:/\\\\:}:\${summary}")
  done < <(strongroom __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( \${#found} )); then _describe strongroom found; else _files; fi
}
compdef _strongroom strongroom
`,
  fish: `# fish completion of strongroom: strongroom completion fish | source
complete -c strongroom -a '(strongroom __complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
`,
} as const;

export type Shell = keyof typeof completionScripts;
export const shells = Object.keys(completionScripts) as Shell[];
