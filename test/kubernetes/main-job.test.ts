import { readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Client } from '../support/client.js'
import { eventually } from '../support/direct.js'
import { Cluster, hasKubectl, target } from '../support/kubernetes.js'

/** The real kubectl through gateway and agent, against the demo's stand-in or the cluster of KUBECONFIG_UNDER_TEST. */
let cluster: Cluster

beforeAll(async () => {
  if (!hasKubectl) return
  cluster = await Cluster.start(
    [
      '{ allow: k8s.read, on: ["*/NS/*", "secrets/NS/*", "namespaces/-/NS"] }',
      '{ allow: k8s.logs, on: "pods/NS/*" }',
      '{ allow: k8s.write, on: ["configmaps/NS/*"] }',
      '{ allow: [k8s.create, k8s.update, k8s.patch], on: "secrets/NS/*" }',
      '{ allow: k8s.exec, on: "pods/NS/*", argv: ["echo ...", "cat ...", "ls ...", "tar ...", "test ...", "[ ...", "exit *", "head ...", "sleep *", "tty", "stty ...", "true"] }',
      '{ allow: k8s.attach, on: "pods/NS/web" }',
      '{ allow: k8s.portforward, on: "pods/NS/web" }',
      '{ deny: k8s.portforward, when: { port: 22 }, reason: "no way into the pod" }',
      '{ hold: [k8s.delete, k8s.deletecollection], on: ["pods/NS/*", "configmaps/NS/*", "deployments.apps/NS/*"], approvers: { groups: [dba] } }',
      '{ hold: k8s.patch, on: "deployments.apps/NS/*", approvers: { groups: [dba] } }',
      '{ hold: k8s.exec, on: "pods/NS/*", argv: ["touch ..."], approvers: { groups: [dba] } }',
      '{ deny: k8s.write, when: { privileged: true }, reason: "a privileged container is the host" }',
    ],
    ['mask:', '  - { names: ["*password*"], with: redact }', '  - { detect: [credit_card, email], with: redact }'],
  )
})
afterAll(() => cluster?.stop())

const secretText = 'correct-horse-battery'
const secretBase64 = Buffer.from(secretText).toString('base64')

describe.skipIf(!hasKubectl)('identity', () => {
  test('sallyport exec sets kubectl up, each run is a session, and nothing is left afterwards', async () => {
    const client = await cluster.cli(['exec', target, '--token-file', 'TOKENFILE', '--', 'sh', '-c', 'kubectl get pods -o name -n "$0"; kubectl get cm -o name -n "$0"; echo "$KUBECONFIG"', cluster.namespace])
    expect(await client.exited, client.stderr).toBe(0)
    expect(client.stdout).toContain('pod/web')
    expect(client.stdout).toContain('configmap/settings')
    expect(() => readFileSync(client.stdout.trim().split('\n').at(-1) ?? '')).toThrow('ENOENT')
    const commands = await stackCommands(`GET /api/v1/namespaces/${cluster.namespace}/`)
    const sessions = new Set(commands.filter(({ text }) => /\/(pods|configmaps)\?/.test(text)).map(({ session }) => session))
    expect(sessions.size).toBe(2)
  })

  test('sallyport kubeconfig: the file holds no secret, and kubectl asks the CLI for one', async () => {
    const file = path.join(cluster.folder, 'written.kubeconfig')
    const tokenFile = path.join(cluster.folder, 'ci.jwt')
    writeFileSync(tokenFile, await cluster.stack.mint())
    const written = await cluster.cli(['kubeconfig', target, '-f', file, '-n', cluster.namespace, '--token-file', tokenFile])
    expect(await written.exited, written.stderr).toBe(0)
    expect(readFileSync(file, 'utf8')).not.toMatch(/spc_|token:/)
    const client = new Client('kubectl', ['--cache-dir', path.join(cluster.folder, 'cache'), '--kubeconfig', file, 'get', 'pods', '-o', 'name'], { PATH: process.env['PATH'] ?? '', HOME: cluster.folder })
    expect(await client.exited, client.stderr).toBe(0)
    expect(client.stdout).toContain('pod/web')
  })

  test('a wrong token, another target and a credential for another target are refused', async () => {
    const wrong = await cluster.kubectl(['get', 'pods'], { token: 'nonsense' })
    expect(wrong.stderr).toContain('not a signed JSON Web Token')
    const credential = await cluster.stack.exchange({ audience: target })
    const other = await cluster.kubectl(['get', 'pods', '--server', `https://localhost:${cluster.stack.line.gateway.httpsPort}/k8s/demo-cluster`], { token: `${credential.username}.${credential.access_token}` })
    expect(other.stderr).toContain(`the credential is for the target ${target} and no other`)
    const strange = await cluster.kubectl(['get', 'pods'], { token: await cluster.stack.mint({ repository: 'evil/shop' }) })
    expect(strange.stderr).toMatch(/claim repository/)
  })

  test('revoking the credential ends a watch within two seconds', async () => {
    const credential = await cluster.stack.exchange({ audience: target })
    const watch = await cluster.start(['get', 'pods', '-w'], { token: `${credential.username}.${credential.access_token}` })
    await watch.seen(/web/)
    const begun = Date.now()
    await cluster.stack.api('DELETE', `/v1/credentials/${credential.credential_id}`)
    await watch.exited
    expect(Date.now() - begun).toBeLessThan(2500)
  })
})

describe.skipIf(!hasKubectl)('reading', () => {
  test('get in every form, describe, logs', async () => {
    for (const args of [['get', 'pods'], ['get', 'pods', '-o', 'wide'], ['get', 'pods', '-o', 'yaml'], ['get', 'pod', 'web', '-o', 'json'], ['describe', 'pod', 'web'], ['get', 'all'], ['api-resources'], ['auth', 'can-i', 'get', 'pods']]) {
      const ran = await cluster.kubectl(args)
      expect(ran.code, `${args.join(' ')}: ${ran.stderr}`).toBe(0)
    }
    const logs = await cluster.kubectl(['logs', 'web', '--tail=50'])
    expect(logs.code, logs.stderr).toBe(0)
    expect(logs.stdout).toContain('[redacted]')
    expect(logs.stdout).not.toContain('@example.com')
  })

  test('what the policy does not allow is refused with the rule and what is allowed', async () => {
    for (const args of [['get', 'nodes'], ['get', 'pods', '-A'], ['get', 'secrets', '-n', 'kube-system'], ['get', '--raw', `/k8s/${target}/metrics`], ['get', '--raw', `/k8s/${target}/api/v1/nodes/node-1/proxy/logs`]]) {
      const ran = await cluster.kubectl(args)
      expect(ran.code, args.join(' ')).not.toBe(0)
      expect(ran.stderr, args.join(' ')).toMatch(/Forbidden|Sallyport/)
      expect(ran.stderr).toContain('Rule: ')
    }
  })

  test('values of Secrets are masked in every form that kubectl asks for', async () => {
    await cluster.admin(['-n', cluster.namespace, 'apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'applied' }, stringData: { password: secretText } }))
    for (const args of [['get', 'secrets'], ['get', 'secrets', '-o', 'yaml'], ['get', 'secret', 'db', '-o', 'json'], ['get', 'secret', 'applied', '-o', 'yaml', '--show-managed-fields'], ['get', 'secret', 'db', '-o', 'jsonpath={.data.password}'], ['get', '--raw', `/k8s/${target}/api/v1/namespaces/${cluster.namespace}/secrets`], ['describe', 'secret', 'applied']]) {
      const ran = await cluster.kubectl(args)
      expect(ran.code, ran.stderr).toBe(0)
      expect(ran.stdout).not.toContain(secretText)
      expect(ran.stdout).not.toContain(secretBase64)
    }
    const value = (await cluster.kubectl(['get', 'secret', 'db', '-o', 'jsonpath={.data.password}'])).stdout
    expect(Buffer.from(value, 'base64').toString()).toBe('[masked by Sallyport]')
  })

  test('by name and by content: config maps, environments, pod lists', async () => {
    const ran = await cluster.kubectl(['get', 'cm/settings', 'pod/web', '-o', 'yaml'])
    expect(ran.stdout).toContain('LOG_LEVEL: info')
    expect(ran.stdout).not.toMatch(/hunter2|carol\.jones/)
  })
})

describe.skipIf(!hasKubectl)('writing', () => {
  test('create (protobuf), apply, server-side apply, patch, label, diff', async () => {
    const created = await cluster.kubectl(['create', 'configmap', 'made', '--from-literal=a=b'])
    expect(created.stderr + created.stdout).toContain('configmap/made created')
    const object = (b: string): string => JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'made2', namespace: cluster.namespace }, data: { b } })
    for (const [args, input] of [
      [['apply', '-f', '-'], object('1')], [['apply', '-f', '-'], object('2')], [['apply', '--server-side', '--force-conflicts', '-f', '-'], object('3')],
      [['patch', 'cm', 'made2', '--type=merge', '-p', '{"data":{"c":"4"}}'], ''], [['patch', 'cm', 'made2', '--type=json', '-p', '[{"op":"add","path":"/data/d","value":"5"}]'], ''], [['label', 'cm', 'made2', 'x=y'], ''],
    ] as const) {
      const ran = await cluster.kubectl(args, { input })
      expect(ran.code, `${args.join(' ')}: ${ran.stderr}`).toBe(0)
    }
    const live = JSON.parse((await cluster.admin(['-n', cluster.namespace, 'get', 'cm', 'made2', '-o', 'json'])).stdout)
    expect(live.data).toMatchObject({ b: '3', c: '4', d: '5' })
    const diff = await cluster.kubectl(['diff', '-f', '-'], { input: object('9') })
    expect(diff.code).toBe(1)
    expect(diff.stdout).toContain('+  b: "9"')
  })

  test('a masked value can not be written back over the real one', async () => {
    const shown = await cluster.kubectl(['get', 'secret', 'db', '-o', 'yaml'])
    const back = await cluster.kubectl(['apply', '-f', '-'], { input: shown.stdout })
    expect(back.code).not.toBe(0)
    expect(back.stderr).toContain('masked-value')
    expect((await cluster.admin(['-n', cluster.namespace, 'get', 'secret', 'db', '-o', 'jsonpath={.data.password}'])).stdout).toBe(secretBase64)
  })

  test('facts of the body decide, also in a patch', async () => {
    const pod = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'odd', namespace: cluster.namespace }, data: {}, spec: { containers: [{ name: 'x', securityContext: { privileged: true } }] } }
    const ran = await cluster.kubectl(['create', '--validate=false', '-f', '-'], { input: JSON.stringify(pod) })
    expect(ran.stderr).toContain('a privileged container is the host')
  })
})

describe.skipIf(!hasKubectl)('holds', () => {
  test('delete waits, the wait and its link stand in the job log, and it runs once approved', async () => {
    await cluster.admin(['-n', cluster.namespace, 'create', 'configmap', 'doomed'])
    const client = await cluster.cli(['exec', target, '--token-file', 'TOKENFILE', '--', 'kubectl', '-n', cluster.namespace, 'delete', 'cm', 'doomed'])
    await client.seen(/waiting for approval by dba.*\/approvals\//)
    expect((await cluster.admin(['-n', cluster.namespace, 'get', 'cm', 'doomed'])).code).toBe(0)
    await cluster.approve('configmaps/doomed')
    expect(await client.exited, client.stderr).toBe(0)
    expect(client.stdout).toContain('"doomed" deleted')
    expect(client.stderr).toMatch(/approved by dana/)
    expect(client.stderr).toMatch(/Warning: Sallyport: this waited for approval, and was approved: .*\/approvals\//)
    expect((await cluster.admin(['-n', cluster.namespace, 'get', 'cm', 'doomed'])).code).not.toBe(0)
  })

  test('rejected: nothing happens, and kubectl says by whom and why', async () => {
    const client = await cluster.start(['delete', 'pod', 'victim'])
    await cluster.reject('pods/victim', 'it is still needed')
    expect(await client.exited).not.toBe(0)
    expect(client.stderr).toContain('it is still needed')
    expect((await cluster.admin(['-n', cluster.namespace, 'get', 'pod', 'victim'])).code).toBe(0)
  })

  test('withdrawn: the approval is cancelled, and a late one does nothing', async () => {
    const client = await cluster.start(['delete', 'pod', 'victim'])
    const { id } = await cluster.pending('pods/victim')
    client.kill('SIGINT')
    await client.exited
    await eventually(async () => (await cluster.stack.api('GET', `/v1/approvals/${id}`)).body.state === 'cancelled', 'it is cancelled')
    expect((await cluster.admin(['-n', cluster.namespace, 'get', 'pod', 'victim'])).code).toBe(0)
  })

  test('the approval shows what a patch changes, and what goes with what is deleted', async () => {
    const scale = await cluster.start(['patch', 'deployment', 'api', '-p', '{"spec":{"replicas":0}}'])
    const patch = await cluster.pending('deployments/api')
    expect(patch.facts.diff).toEqual([{ path: 'spec.replicas', from: '1', to: '0' }])
    scale.kill('SIGINT')
    await scale.exited
    const remove = await cluster.start(['delete', 'deployment', 'api'])
    const deletion = await eventually(async () => {
      const found = await cluster.pending('DELETE /apis/apps/v1')
      return found.facts.deleted_with_it === undefined ? undefined : found
    }, 'the deletion is held')
    expect(deletion.facts.deleted_with_it).toEqual(expect.arrayContaining([expect.stringMatching(/^replicasets\/api-/), expect.stringMatching(/^pods\/api-/)]))
    remove.kill('SIGINT')
    await remove.exited
  })
})

describe.skipIf(!hasKubectl).each([
  ['WebSocket', { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'true', KUBECTL_PORT_FORWARD_WEBSOCKETS: 'true' }],
  ['SPDY', { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false', KUBECTL_PORT_FORWARD_WEBSOCKETS: 'false' }],
])('streams over %s', (_name, env) => {
  test('exec: output, masks, exit codes, input', async () => {
    const ran = await cluster.kubectl(['exec', 'web', '--', 'sh', '-c', 'echo card 4111 1111 1111 1111; echo oops >&2; exit 7'], { env })
    expect(ran.stdout).toBe('card [redacted]\n')
    expect(ran.stderr).toContain('oops')
    expect(ran.code).toBe(7)
    const piped = await cluster.kubectl(['exec', '-i', 'web', '--', 'cat'], { env, input: 'through stdin\n'.repeat(1000) })
    expect(piped.stdout).toBe('through stdin\n'.repeat(1000))
  })

  test('exec: denied by what it runs, whatever it is wrapped in', async () => {
    for (const command of [['sh'], ['rm', '-rf', '/'], ['sh', '-c', 'echo ok; rm /x'], ['sh', '-c', 'eval ls'], ['env', 'bash'], ['sh', '-c', 'cat /etc/passwd > /tmp/x']]) {
      const ran = await cluster.kubectl(['exec', 'web', '--', ...command], { env })
      expect(ran.code, command.join(' ')).not.toBe(0)
      expect(ran.stderr, command.join(' ')).toContain('Sallyport')
    }
  })

  test('exec: held with a line on stderr, then it runs', async () => {
    const file = `/tmp/held-${_name}-${cluster.namespace}`
    const client = await cluster.start(['exec', 'web', '--', 'touch', file], { env })
    await client.seen(/waits for approval by dba.*\/approvals\//)
    await cluster.approve(file)
    expect(await client.exited, client.stderr).toBe(0)
    expect((await cluster.kubectl(['exec', 'web', '--', 'ls', file], { env })).stdout).toContain(file)
  })

  test('exec with a terminal', async () => {
    const kubeconfig = cluster.kubeconfig(await cluster.stack.mint())
    const client = new Client('script', ['-qec', `kubectl --cache-dir ${cluster.folder}/cache --kubeconfig ${kubeconfig} exec -it web -- stty size`, '/dev/null'], { PATH: process.env['PATH'] ?? '', HOME: cluster.folder, TERM: 'xterm', ...env })
    expect(await client.exited, client.stdout).toBe(0)
    expect(client.stdout).toMatch(/\d+ \d+/)
  })

  test('cp in both directions', async () => {
    const local = path.join(cluster.folder, `copy-${_name}`)
    writeFileSync(local, 'some text\n')
    const to = await cluster.kubectl(['cp', local, `web:/tmp/copied-${_name}`], { env })
    expect(to.code, to.stderr).toBe(0)
    const from = await cluster.kubectl(['cp', `web:/tmp/copied-${_name}`, `${local}-back`], { env })
    expect(from.code, from.stderr).toBe(0)
    expect(readFileSync(`${local}-back`, 'utf8')).toBe('some text\n')
  })

  test('a command that is cut never looks like one that succeeded', async () => {
    const credential = await cluster.stack.exchange({ audience: target })
    const token = `${credential.username}.${credential.access_token}`
    const [first, second] = _name === 'SPDY' ? ['301', '302'] : ['303', '304']
    const revoked = await cluster.start(['exec', 'web', '--', 'sleep', first], { env, token })
    await eventually(async () => (await stackCommands(`exec: sleep ${first}`)).length > 0, 'the command runs')
    await cluster.stack.api('DELETE', `/v1/credentials/${credential.credential_id}`)
    expect(await revoked.exited, revoked.stdout).not.toBe(0)
    const changed = await cluster.start(['exec', 'web', '--', 'sleep', second], { env })
    await eventually(async () => (await stackCommands(`exec: sleep ${second}`)).length > 0, 'the command runs')
    const policy = readFileSync(path.join(cluster.folder, 'policy.yaml'), 'utf8')
    await applyPolicy(policy.replace(/ {4}- \{ allow: k8s\.exec.*\n/g, ''))
    expect(await changed.exited, changed.stdout).not.toBe(0)
    expect(changed.stderr).toMatch(/Sallyport: .*Rule: /)
    await applyPolicy(policy)
  })

  test('port-forward: each connection is decided', async () => {
    const client = await cluster.start(['port-forward', 'pod/web', `:${cluster.port}`, ':22'], { env })
    const local = Number((await client.seen(/127\.0\.0\.1:(\d+) -> (?!22\b)\d+/))[1])
    const denied = Number((await client.seen(/127\.0\.0\.1:(\d+) -> 22\b/))[1])
    const answers = await Promise.all([ask(local), ask(local), ask(local)])
    for (const answer of answers) expect(answer).toContain('hello-from-pod')
    expect(await ask(denied)).toBe('')
    await client.seen(/no way into the pod/)
    client.kill('SIGINT')
    await client.exited
    await eventually(async () => (await stackCommands(`portforward pods/${cluster.namespace}/web:22`)).at(0)?.decision === 'deny', 'the denial is on record')
  })
})

describe.skipIf(!hasKubectl)('sessions', () => {
  test('revoking the credential ends what runs: exec, port-forward, logs', async () => {
    const credential = await cluster.stack.exchange({ audience: target })
    const token = `${credential.username}.${credential.access_token}`
    const running = await Promise.all([
      cluster.start(['exec', 'web', '--', 'sleep', '300'], { token }),
      cluster.start(['port-forward', 'pod/web', `:${cluster.port}`], { token }),
      cluster.start(['logs', '-f', 'web'], { token }),
    ])
    await running[1]?.seen(/Forwarding from/)
    await running[2]?.seen(/redacted|mail/)
    await eventually(async () => (await stackCommands('exec: sleep 300')).length > 0, 'the command runs')
    const begun = Date.now()
    await cluster.stack.api('DELETE', `/v1/credentials/${credential.credential_id}`)
    await Promise.all(running.map((client) => client.exited))
    expect(Date.now() - begun).toBeLessThan(3000)
  })

  test('a change of the policy ends what it no longer allows', async () => {
    const logs = await cluster.start(['logs', '-f', 'web'])
    const watch = await cluster.start(['get', 'pods', '-w'])
    await logs.seen(/redacted|mail/)
    await watch.seen(/web/)
    const policy = readFileSync(path.join(cluster.folder, 'policy.yaml'), 'utf8')
    await applyPolicy(policy.replace(/ {4}- \{ allow: k8s\.(logs|read).*\n/g, ''))
    await Promise.all([logs.exited, watch.exited])
    await applyPolicy(policy)
  })

  test('strict: no request runs unrecorded, and no command looks done before its end is durable', async () => {
    const policy = readFileSync(path.join(cluster.folder, 'policy.yaml'), 'utf8')
    await applyPolicy(policy.replace('audit: spooled', 'audit: strict'))
    try {
      const running = await cluster.start(['exec', 'web', '--', 'sleep', '2'])
      const found = await eventually(async () => (await stackCommands('exec: sleep 2')).find(({ text }) => text.endsWith('sleep 2')), 'the command runs')
      const forward = await cluster.start(['port-forward', 'pod/web', `:${cluster.port}`])
      const local = Number((await forward.seen(/127\.0\.0\.1:(\d+) ->/))[1])
      process.kill(cluster.stack.line.pids.api, 'SIGSTOP')
      try {
        expect(await running.exited, running.stdout).not.toBe(0)
        // A connection is a command of its own.
        expect(await ask(local)).toBe('')
      } finally {
        process.kill(cluster.stack.line.pids.api, 'SIGCONT')
      }
      forward.kill('SIGINT')
      await forward.exited
      await eventually(async () => (await cluster.stack.events(`kind=command.end&session=${found.session}`)).some(({ event }) => event.tag === 'exit 0'), 'its end is on record')
      expect((await cluster.kubectl(['get', 'pods', '-o', 'name'])).stdout).toContain('pod/web')
    } finally {
      await applyPolicy(policy)
    }
  })

  test('who did what: requests with decision, status and bytes; exec is replayed', async () => {
    const ran = await cluster.kubectl(['exec', 'web', '--', 'echo', 'to be replayed'])
    expect(ran.code).toBe(0)
    const found = await eventually(async () => (await stackCommands("exec: echo 'to be replayed'")).at(0), 'it is on record')
    await eventually(async () => (await cluster.stack.events(`kind=command.end&session=${found.session}`)).some((event) => event.event.tag === 'exit 0'), 'its end is on record')
    const replay = await cluster.cli(['sessions', 'replay', found.session, '--speed', '100'], cluster.stack.line.cli.env)
    await replay.exited
    expect(replay.stdout).toContain('to be replayed')
    const { body } = await cluster.stack.api('GET', '/v1/audit/verify')
    expect(body.ok, JSON.stringify(body)).toBe(true)
  })
})

async function applyPolicy(text: string): Promise<void> {
  const applied = await cluster.stack.api('POST', '/v1/apply', { documents: [{ path: 'policy.yaml', text }], reason: 'test' })
  expect(applied.body.applied, JSON.stringify(applied.body)).toBe(true)
}

async function stackCommands(text: string): Promise<{ text: string; session: string; decision: string }[]> {
  const events = await cluster.stack.events(`kind=command&text=${encodeURIComponent(text)}`)
  return events.map((event) => ({ text: event.event.text as string, session: event.session as string, decision: event.decision as string }))
}

/** What something behind a port answers; empty when it closes. */
function ask(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    let answer = ''
    socket.on('data', (chunk) => (answer += chunk.toString()))
    socket.on('error', () => undefined)
    socket.once('close', () => resolve(answer))
    socket.write('GET / HTTP/1.0\r\n\r\n')
  })
}
