// The C++ interface goes here.
