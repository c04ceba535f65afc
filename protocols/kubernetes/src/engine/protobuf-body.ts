import type { Denial } from '@sallyport/kit'
import type { JsonValue } from '@sallyport/policy'
import { commandOf, isOwnReview, RequestRefusedError, understood, valueOf, type RequestBody, type ResourceRequest } from '../analyse/index.js'
import type { HandlerContext } from './request-handler.js'
import { readAll } from './read-all.js'

const maxAnswerBytes = 4 * 1024 * 1024
const milliseconds = 30_000

/**
 * Learns what is in a protobuf body from the one who knows every kind: the API server, in a dry run that stores nothing. It
 * is asked only when the policy doesn't deny the request whatever the body holds.
 * @returns the body with its value, or why it may not even be shown to the API server
 * @throws {RequestRefusedError} when the API server can't read it, or refuses it
 */
export async function readProtobuf(request: ResourceRequest, body: RequestBody, { guard, server }: HandlerContext): Promise<RequestBody | Denial> {
  if (isOwnReview(request)) return body
  const clearance = guard.clear(commandOf(request, body))
  if (clearance.kind === 'denial') return clearance
  const dryRun = valueOf(request.query, 'dryRun') === 'All' ? request.target : `${request.target}${request.query.length === 0 ? '?' : '&'}dryRun=All`
  const response = await (await server()).send({
    method: request.method, target: dryRun, headers: { accept: 'application/json', 'content-type': body.contentType }, body: body.bytes, signal: AbortSignal.timeout(milliseconds),
  })
  const text = await readAll(response, maxAnswerBytes)
  const status = response.statusCode ?? 0
  const answer = parsed(text)
  if (status === 200 || status === 201) return understood(request, body, answer)
  const said = typeof answer === 'object' && answer !== null && 'message' in answer ? answer.message : undefined
  const message = typeof said === 'string' ? said.slice(0, 2048) : 'no reason given'
  throw new RequestRefusedError({
    status: status >= 400 && status < 600 ? status : 502,
    rule: 'protobuf-body',
    message: `the API server refuses this: ${guard.masks.detectors(message).text}`,
    hint: 'Nothing was stored.',
  })
}

function parsed(text: string): JsonValue {
  try {
    const value: JsonValue = JSON.parse(text)
    return value
  } catch {
    return null
  }
}
