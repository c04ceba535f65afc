export type ResponseMaskProblem = 'malformed' | 'truncated' | 'too_large' | 'too_deep' | 'not_utf8' | 'ambiguous'

const sentences: Readonly<Record<ResponseMaskProblem, string>> = {
  malformed: 'The API server’s answer is not valid JSON.',
  truncated: 'The API server’s answer ends in the middle.',
  too_large: 'One object of the API server’s answer is larger than what can be masked.',
  too_deep: 'The API server’s answer is nested deeper than what can be masked.',
  not_utf8: 'The API server’s answer is not valid UTF-8.',
  ambiguous: 'The API server’s answer says its kind or its items twice, so it can’t be masked with certainty.',
}

/** A response that can't be masked: nothing more of it may reach the client. The message quotes nothing of the response. */
export class ResponseMaskError extends Error {
  override readonly name = 'ResponseMaskError'

  constructor(readonly problem: ResponseMaskProblem) {
    super(sentences[problem])
  }
}
