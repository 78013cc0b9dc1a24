/** Put in by build.mjs: CommonJS bundles that a head carries as text, and the text's hash. */
interface CarriedText {
  text: string;
  id: string;
}
declare const __PROTOCOL__: CarriedText;
declare const __WORK__: CarriedText;
declare const __BACKGROUND__: CarriedText;
