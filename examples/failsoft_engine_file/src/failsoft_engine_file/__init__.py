"""The engine `file` of Failsoft: messages wait as files of a folder that all processes see."""
