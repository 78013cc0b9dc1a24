/**
 * Takes the place of the SDK's ajv validator in the bundle: the SDK uses it on answers to elicitation only, which this
 * server never asks for. A call would be a defect, so it throws.
 */
export class AjvJsonSchemaValidator {
  getValidator(): never {
    throw new Error('hAIveMind asks for no elicitation; there is nothing to validate.');
  }
}
