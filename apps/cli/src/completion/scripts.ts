export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

/** What a shell is to read (`source <(sallyport completion bash)`). Each asks `sallyport __complete`, which says nothing when it has nothing to say: then files are offered. */
export const scripts: Readonly<Record<Shell, string>> = {
  bash: `# bash completion of sallyport: source <(sallyport completion bash)
_sallyport() {
  local value text current="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  while IFS=$'\\t' read -r value text; do
    [[ "$value" == "$current"* || "$current" == "=" ]] && COMPREPLY+=("$value")
  done < <("\${COMP_WORDS[0]}" __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null </dev/null)
}
complete -o default -F _sallyport sallyport
`,
  zsh: `#compdef sallyport
# zsh completion of sallyport: source <(sallyport completion zsh)
_sallyport() {
  local value text
  local -a found
  while IFS=$'\\t' read -r value text; do
    found+=("\${value//:/\\\\:}:\${text}")
  done < <("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null </dev/null)
  if (( \${#found} )); then _describe sallyport found; else _files; fi
}
compdef _sallyport sallyport
`,
  fish: `# fish completion of sallyport: sallyport completion fish | source
function __sallyport_complete
  set -l words (commandline -opc) (commandline -ct)
  $words[1] __complete -- $words[2..-1] 2>/dev/null </dev/null
end
complete -c sallyport -a '(__sallyport_complete)'
`,
}
