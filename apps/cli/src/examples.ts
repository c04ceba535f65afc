/** Shown under the help of each command: what one would type. Every command that does something has one (program.test.ts). */
export const examples: Readonly<Record<string, readonly string[]>> = {
  exec: ['sallyport exec orders-db -- psql -c "select count(*) from orders"', 'sallyport exec web-01 -- ssh web-01 uptime'],
  token: ['sallyport token orders-db --ttl 10m', 'sallyport token orders-db -o json | jq -r .access_token'],
  kubeconfig: ['sallyport kubeconfig demo-cluster -f demo.kubeconfig', 'kubectl --kubeconfig demo.kubeconfig get pods'],
  'kube-credential': ['sallyport kube-credential demo-cluster'],
  'approvals list': ['sallyport approvals list', 'sallyport approvals list --state rejected --limit 20 -o json'],
  'approvals show': ['sallyport approvals show 0198f0c4-5c0e-7d64-a1a5-2f8d8c1b9a10'],
  'approvals approve': ['sallyport approvals approve 0198f0c4-5c0e-7d64-a1a5-2f8d8c1b9a10 --reason "ticket OPS-7"'],
  'approvals reject': ['sallyport approvals reject 0198f0c4-5c0e-7d64-a1a5-2f8d8c1b9a10 --reason "no WHERE"'],
  'approvals watch': ['sallyport approvals watch', 'sallyport approvals watch -o json'],
  'sessions list': ['sallyport sessions list --state live', 'sallyport sessions list --target orders-db --since 24h -o json'],
  'sessions show': ['sallyport sessions show 0198f0c4-5c0e-7d64-a1a5-2f8d8c1b9a10'],
  'sessions replay': ['sallyport sessions replay 0198f0c4-5c0e-7d64-a1a5-2f8d8c1b9a10 --speed 4'],
  'sessions watch': ['sallyport sessions watch 0198f0c4-5c0e-7d64-a1a5-2f8d8c1b9a10'],
  'sessions export': ['sallyport sessions export 0198f0c4-5c0e-7d64-a1a5-2f8d8c1b9a10 --output session.cast'],
  'sessions kill': ['sallyport sessions kill 0198f0c4-5c0e-7d64-a1a5-2f8d8c1b9a10 --reason "runaway job"'],
  'audit search': ['sallyport audit search --decision deny --since 24h', 'sallyport audit search --statement "drop table" --limit 10 -o json'],
  'audit export': ['sallyport audit export --since 2026-01-01T00:00:00Z --output january.jsonl'],
  'audit saved list': ['sallyport audit saved list'],
  'audit saved save': ['sallyport audit saved save denied --decision deny --shared'],
  'audit saved delete': ['sallyport audit saved delete denied'],
  'audit retention': ['sallyport audit retention', 'sallyport audit retention --run'],
  'audit hold list': ['sallyport audit hold list'],
  'audit hold add': ['sallyport audit hold add --reason "case 2026-17" --identity shop-ci --from 2026-01-01T00:00:00Z'],
  'audit hold release': ['sallyport audit hold release 0198f0c4-5c0e-7d64-a1a5-2f8d8c1b9a10 --reason "case closed"'],
  'audit bundle': ['sallyport audit bundle 0198f0c4-5c0e-7d64-a1a5-2f8d8c1b9a10 --output session.jsonl', 'sallyport audit bundle --since 24h --output day.jsonl'],
  'audit checkpoint': ['sallyport audit checkpoint >> checkpoints.txt'],
  'audit keys': ['sallyport audit keys > keys.json'],
  'audit verify': ['sallyport audit verify', 'sallyport audit verify --offline session.jsonl --keys keys.json'],
  'sinks list': ['sallyport sinks list'],
  'sinks dead-letters': ['sallyport sinks dead-letters siem'],
  'sinks retry': ['sallyport sinks retry siem --all'],
  'sinks test': ['sallyport sinks test siem'],
  'privacy find': ['sallyport privacy find dana@example.com'],
  'privacy erase': ['sallyport privacy erase dana@example.com dana --reason "request of 2026-01-05"'],
  'policy check': ['sallyport policy check policies/'],
  'policy explain': ['sallyport policy explain --as shop-ci --target orders-db "delete from orders"'],
  apply: ['sallyport apply -f policies/ --dry-run', 'sallyport apply -f policies/ --prune --reason "ticket OPS-7"'],
  validate: ['sallyport validate -f policies/'],
  diff: ['sallyport diff -f policies/', 'sallyport diff -f policies/ --prune'],
  export: ['sallyport export > documents.yaml', 'sallyport export -d policies/ --kind Policy'],
  history: ['sallyport history', 'sallyport history Policy/shop-ci-on-orders'],
  rollback: ['sallyport rollback 0198f0c4-5c0e-7d64-a1a5-2f8d8c1b9a10 --reason "broke the nightly job" --dry-run'],
  'locks list': ['sallyport locks list --all'],
  'locks add': ['sallyport locks add workload shop-ci --reason "token in a public log"', 'sallyport locks add target orders-db --ttl 2h --reason maintenance'],
  'locks release': ['sallyport locks release 0198f0c4-5c0e-7d64-a1a5-2f8d8c1b9a10 --reason "token replaced"'],
  'targets list': ['sallyport targets list', 'sallyport targets list -o yaml'],
  'credentials list': ['sallyport credentials list --state live'],
  'credentials revoke': ['sallyport credentials revoke 0198f0c4-5c0e-7d64-a1a5-2f8d8c1b9a10'],
  'agents list': ['sallyport agents list'],
  'agents token': ['sallyport agents token berlin-1 --label site=berlin --ttl 1h', 'sallyport agents token gateway-1 --kind gateway'],
  'agents revoke': ['sallyport agents revoke berlin-1'],
  'users list': ['sallyport users list'],
  'tokens list': ['sallyport tokens list'],
  'tokens create': ['sallyport tokens create dana --name laptop --ttl 720h'],
  'tokens revoke': ['sallyport tokens revoke 0198f0c4-5c0e-7d64-a1a5-2f8d8c1b9a10'],
  whoami: ['sallyport whoami', 'sallyport whoami -o json'],
  version: ['sallyport version'],
  doctor: ['sallyport doctor', 'sallyport doctor orders-db -o json'],
  completion: ['source <(sallyport completion bash)', 'sallyport completion fish > ~/.config/fish/completions/sallyport.fish'],
}

/** A command's words without the program's name: `audit saved list`. */
export function pathOf(command: { readonly name: () => string; readonly parent: unknown }): string {
  const parent = command.parent
  const above = isCommand(parent) && parent.parent !== null ? `${pathOf(parent)} ` : ''
  return above + command.name()
}

function isCommand(value: unknown): value is Parameters<typeof pathOf>[0] {
  return typeof value === 'object' && value !== null && 'name' in value && 'parent' in value
}
