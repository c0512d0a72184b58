"""Names of people, places and organizations by a tagger of our own, with nothing to install.

A linear-chain conditional random field over hashed features, trained on openly licensed English
text (README.md says on which, and how good it is). `tokens` cuts a text into tokens and finds the
runs that can be names, `features` hashes what is around each token, `decoder` finds the best labels
and how sure they are, `model` is the file with the weights. All that runs for a text is compiled
and counts in integers, so that every machine gives the same answer.
"""
