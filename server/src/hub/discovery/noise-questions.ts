/**
 * What no plugin of a coding assistant answers, in several languages. How near a model finds the nearest plugin to these is what
 * its cosines say of nothing: models differ in that more than anything else does.
 */
export const NOISE_QUESTIONS: readonly string[] = [
  'prune roses in early spring',
  'which tent keeps out heavy rain',
  'sing a baby to sleep',
  'ferry times to the northern islands',
  'relieve a sunburn on the shoulders',
  'polish an old silver spoon',
  'who won the marathon in 1987',
  'grow tomatoes on a balcony',
  'play the accordion by ear',
  'what to wear at a winter wedding',
  'how deep is the ocean',
  'feed a hedgehog that was found',
  'Wann blühen die Kirschbäume?',
  'Wolldecke von Hand waschen',
  'Wie lange kocht man Kartoffeln?',
  'recette de soupe aux poireaux',
  'apprendre à nager à cinquante ans',
  'pasear por la montaña con niños',
  'remedio casero para la tos',
  'come si pota un ulivo',
  '怎么养好一盆兰花',
  '爷爷的生日送什么礼物',
  '雨の日に子供と遊ぶ',
  'как связать тёплые носки',
];
