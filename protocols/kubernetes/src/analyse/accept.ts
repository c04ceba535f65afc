import { RequestRefusedError } from './refused.js'

/** Forms in which an answer can be masked: all of them are JSON. */
const forms: ReadonlySet<string> = new Set(['Table', 'PartialObjectMetadata', 'PartialObjectMetadataList', 'APIGroupDiscoveryList'])
const allowedParameters: ReadonlySet<string> = new Set(['as', 'v', 'g', 'q', 'charset', 'stream', 'profile'])
const openApi = /^application\/com\.github\.proto-openapi\.spec\.v[23][.@]v1\.0\+protobuf$/

/**
 * What of a client's Accept header reaches the API server: JSON in all its forms. Protobuf and CBOR are taken out, because
 * nothing could be masked in them (Kubernetes API concepts: "Alternate representations of resources").
 * @throws {RequestRefusedError} 406 when nothing is left
 */
export function negotiated(accept: string | undefined, discovery: boolean): string {
  const wanted = (accept ?? '').trim()
  if (wanted === '') return 'application/json'
  if (wanted.length > 1024) throw refused()
  const kept: string[] = []
  for (const part of wanted.split(',')) {
    const [type = '', ...parameters] = part.split(';').map((text) => text.trim())
    const lower = type.toLowerCase()
    if (discovery && openApi.test(type)) kept.push(type)
    else if (lower === '*/*' || lower === 'application/*' || lower === 'text/plain' || lower === 'text/*') kept.push(lower === 'text/plain' ? 'text/plain' : 'application/json')
    else if (lower === 'application/json' && parameters.every(known)) kept.push(['application/json', ...parameters].join(';'))
  }
  if (kept.length === 0) throw refused()
  return [...new Set(kept)].join(',')
}

function known(parameter: string): boolean {
  const [name = '', value = ''] = parameter.split('=')
  if (!allowedParameters.has(name) || !/^[A-Za-z0-9.-]*$/.test(value)) return false
  return name !== 'as' || forms.has(value)
}

function refused(): RequestRefusedError {
  return new RequestRefusedError({ status: 406, rule: 'json-only', message: 'the answer is wanted in a form in which nothing can be masked', hint: 'Accept application/json.' })
}
