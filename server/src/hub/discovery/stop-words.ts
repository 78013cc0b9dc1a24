/** English words that carry grammar rather than a subject. A question made of nothing else is searched with them. */
export const STOP_WORDS: ReadonlySet<string> = new Set(
  `a about above across after again against all also am among an and any anybody anyone anything are aren around as at
  be because been before being below between both but by can cannot could couldn did didn do does doesn doing don done
  down during each either else etc even ever every everyone everything few for from further get gets getting give given
  go goes going gone got had hadn has hasn have haven having he her here hers herself him himself his how however i if
  in into is isn it its itself just let lets like likes ll made make makes making many may maybe me might more most much
  must my myself need needs neither no nobody none nor not nothing now of off often on once one only onto or other
  others ought our ours ourselves out over own per please quite rather re really same see seem seems shall she should
  shouldn since so some somebody someone something somewhere still such than that the their theirs them themselves then
  there these they thing things this those though through thus to too toward towards under until up upon us ve very via
  want wants was wasn way ways we well were weren what whatever when whenever where whether which while who whoever
  whom whose why will with within without won would wouldn yet you your yours yourself yourselves`.split(/\s+/),
);
