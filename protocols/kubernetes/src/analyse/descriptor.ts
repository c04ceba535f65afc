import { TargetSpecError, type OfflineAnalysis, type ProtocolDescriptor } from '@sallyport/kit'
import { ActionIndex } from '@sallyport/policy'
import { loadShell } from '@sallyport/shell'
import { kubernetesActions } from './actions.js'
import { parseBody } from './body.js'
import { commandOf, requestLine } from './command.js'
import { requestOfKubectl } from './kubectl.js'
import { parseRequest, type RequestHead } from './request.js'
import { RequestRefusedError } from './refused.js'
import { kubernetesTargetSchema } from './target-spec.js'

const index = new ActionIndex(kubernetesActions)
const mustName: ReadonlySet<string> = new Set(['k8s.exec.opaque', 'k8s.exec.sudo', 'k8s.proxy', 'k8s.token', 'k8s.subresource', 'k8s.raw'])

/** All that the core asks of Kubernetes. */
export const kubernetesDescriptor: ProtocolDescriptor = {
  protocol: 'kubernetes',
  actions: kubernetesActions,
  parseTargetSpec(spec) {
    const parsed = kubernetesTargetSchema.safeParse(spec)
    if (parsed.success) return { ...parsed.data }
    const issue = parsed.error.issues[0]
    const path = (issue?.path ?? []).map((part) => (typeof part === 'number' ? part : String(part)))
    throw new TargetSpecError(path, issue?.message ?? 'invalid')
  },
  load: loadShell,
  /**
   * A request line (`GET /api/v1/namespaces/shop/pods`) with a body behind a newline; an action and its object (`k8s.list
   * pods/shop/*`); or one of kubectl's plain commands (`kubectl get pods -n shop`).
   */
  analyse(text): OfflineAnalysis {
    try {
      const [first = '', ...rest] = text.trim().split(/\s+/)
      if (first.startsWith('k8s.') && index.has(first)) {
        const resource = rest.join(' ')
        const details = { ...(mustName.has(first) ? { mustName: true } : {}), ...(resource.startsWith('secrets/') ? { sensitive: true } : {}) }
        return { commands: [{ text, effects: [{ action: first, resource, details }] }] }
      }
      const { line, body } = first === 'kubectl' ? requestOfKubectl(rest) : split(text)
      const head = headOf(line, body)
      const request = parseRequest(head)
      return { commands: [{ text, effects: commandOf(request, parseBody(request, head, Buffer.from(body))).effects }] }
    } catch (error) {
      if (error instanceof RequestRefusedError) return { commands: [], error: error.message }
      throw error
    }
  },
  withoutValues: requestLine,
}

function split(text: string): { line: string; body: string } {
  const newline = text.indexOf('\n')
  return newline < 0 ? { line: text.trim(), body: '' } : { line: text.slice(0, newline).trim(), body: text.slice(newline + 1).trim() }
}

function headOf(line: string, body: string): RequestHead {
  const space = line.indexOf(' ')
  const method = space < 0 ? line : line.slice(0, space)
  const path = space < 0 ? '' : line.slice(space + 1)
  const patch = method === 'PATCH' ? (body.startsWith('[') ? 'application/json-patch+json' : 'application/merge-patch+json') : 'application/json'
  const stream = /\/(exec|attach|portforward)(\?|$)/.test(path)
  return { method, path, upgrade: stream ? 'websocket' : undefined, hasBody: body !== '', header: (name) => (name === 'content-type' ? patch : undefined) }
}
