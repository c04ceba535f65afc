import { createHash } from 'node:crypto'
import type { Command } from '@sallyport/kit'
import type { JsonObject, JsonValue } from '@sallyport/policy'
import { quoteArgv } from '@sallyport/shell'
import type { RequestBody } from './body.js'
import { effectsOf } from './effects.js'
import { isObject } from './facts.js'
import { valuesOf } from './query.js'
import type { KubernetesRequest } from './request.js'

const maxBodyText = 48 * 1024
/** Says nothing of the value, not even its length. */
const hidden = '(not shown)'

/**
 * A request as the unit that a policy decides. Its text is what people see; the facts hold the digest of the body's very
 * bytes, so that an approval is for this request and no other.
 */
export function commandOf(request: KubernetesRequest, body: RequestBody | undefined): Command {
  const line = `${request.method} ${request.target}`
  const facts: JsonObject = {
    method: request.method,
    ...(body === undefined ? {} : { content_type: body.contentType, body_sha256: createHash('sha256').update(body.bytes).digest('hex'), body_bytes: body.bytes.length }),
  }
  const argv = request.kind === 'resource' && request.subresource === 'exec' ? valuesOf(request.query, 'command') : []
  const shown = body !== undefined ? [bodyText(request, body)] : argv.length > 0 ? [`exec: ${quoteArgv(argv)}`] : []
  return { text: [line, ...shown].join('\n'), effects: effectsOf(request, body), facts }
}

/** Method and path of a request's text, and which parameters it had: neither their values nor a body. */
export function requestLine(text: string): string {
  const [line = ''] = text.split('\n', 1)
  const at = line.indexOf('?')
  if (at < 0) return line
  const names = line.slice(at + 1).split('&').map((part) => `${part.split('=', 1)[0] ?? ''}=?`)
  return `${line.slice(0, at)}?${names.join('&')}`
}

function bodyText(request: KubernetesRequest, { value }: RequestBody): string {
  const secret = request.kind === 'resource' && request.group === '' && request.resource === 'secrets'
  const token = request.kind === 'resource' && request.resource === 'tokenreviews'
  const text = JSON.stringify(token ? withoutToken(value) : withoutSecrets(value, secret), undefined, 2)
  return text.length > maxBodyText ? `${text.slice(0, maxBodyText)}\n… (${text.length - maxBodyText} more characters; body_sha256 covers them)` : text
}

/** A TokenReview asks about somebody's token: it is still good. */
function withoutToken(value: JsonValue): JsonValue {
  if (!isObject(value) || !isObject(value['spec'])) return hidden
  return { ...value, spec: { ...value['spec'], token: hidden } }
}

/** Values of Secrets stand in no event, wherever in the body the Secret stands. */
function withoutSecrets(value: JsonValue, secret: boolean): JsonValue {
  if (Array.isArray(value)) {
    // A JSON patch: its values are what they would write.
    return value.map((entry) => (secret && isObject(entry) && typeof entry['op'] === 'string' && 'value' in entry ? { ...entry, value: hidden } : withoutSecrets(entry, secret)))
  }
  if (!isObject(value)) return value
  const isSecret = secret || value['kind'] === 'Secret'
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (isSecret && (key === 'data' || key === 'stringData')) return [key, isObject(inner) ? Object.fromEntries(Object.keys(inner).map((name) => [name, hidden])) : hidden]
      // What kubectl apply keeps of the object that it sent.
      if (key === 'kubectl.kubernetes.io/last-applied-configuration') return [key, hidden]
      return [key, withoutSecrets(inner, isSecret)]
    }),
  )
}
